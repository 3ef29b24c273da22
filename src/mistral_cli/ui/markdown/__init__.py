"""Markdown as it streams: lines into blocks, blocks into lines of the screen."""
