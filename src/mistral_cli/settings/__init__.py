"""What the user set, and where our own files live."""
