"""The roles and prompt templates that come with the program, and nothing else."""
