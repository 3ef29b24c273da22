"""Mistral and Mixtral in PyTorch. Never opens a file."""
