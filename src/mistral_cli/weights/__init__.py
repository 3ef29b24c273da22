"""Files become modules: finding, checking and filling checkpoints."""
