"""Logits become token ids: sampling, prefill, decoding, reuse of the cache."""
