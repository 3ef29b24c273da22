"""Whatever turns a prompt into events."""
