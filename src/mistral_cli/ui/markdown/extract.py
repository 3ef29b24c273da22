"""The code of a whole answer. Knows no screen."""

from __future__ import annotations


def code_blocks(text: str) -> list[str]:
    """Return what stands in each fenced code block, in their order (CommonMark, section 4.5)."""
    from markdown_it import MarkdownIt

    return [token.content for token in MarkdownIt().parse(text) if token.type == "fence"]


def first_code_block(text: str) -> str | None:
    """Return what stands in the first fenced code block, or None where there is none."""
    return next(iter(code_blocks(text)), None)
