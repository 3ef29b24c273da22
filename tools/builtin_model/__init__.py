"""The built-in guide: what it knows, how its training dialogues are made, its training and its evaluation."""
