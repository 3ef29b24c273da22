"""Text without tensors: tokenizers, templates, streams of characters, safe output."""
