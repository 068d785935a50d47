"""Everything that touches the file system: checkpoints, logs, evaluation records, plots, videos."""
