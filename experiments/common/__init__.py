"""What the studies and benchmarks share: results, tables, plots, the runs of a study, and configurations."""
