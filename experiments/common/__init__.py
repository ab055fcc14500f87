"""What the studies share: how their runs are made, collected, and put into tables and figures."""
