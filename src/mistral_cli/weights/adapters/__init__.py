"""LoRA adapters in PEFT's format: read, checked, put onto a model and taken off again."""
