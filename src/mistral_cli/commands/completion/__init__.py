"""The TAB key: what can stand where in a command line, a script for each shell, and the names that the disk knows."""
