"""The built-in model's files, and nothing else."""
