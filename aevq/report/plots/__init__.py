"""The PNGs of a run folder."""
