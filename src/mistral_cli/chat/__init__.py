"""What was said: conversations."""
