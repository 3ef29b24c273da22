"""Markdown is rendered once, block by block, and never as Rich's own markup."""

from __future__ import annotations

import re

import pytest

from fakes import fake_console
from mistral_cli.ui import markdown
from mistral_cli.ui.markdown import MarkdownWriter, first_code_block, render

ANSWER = """# Title

Some *words* here,
and more.

- one
- two

```python
print("[bold]no[/bold]")

x = 1
```

| a | b |
|---|---|
| 1 | 2 |

The end [/INST].
"""


def _plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def _stream(pieces: list[str], **options) -> str:
    console = fake_console(terminal=True, **options)
    writer = MarkdownWriter(console=console)
    for piece in pieces:
        writer.push(piece)
    writer.finish()
    return console.out.file.text


@pytest.mark.parametrize("size", [1, 3, 50, 10_000])
def test_the_page_does_not_depend_on_the_pieces(size: int) -> None:
    pieces = [ANSWER[start : start + size] for start in range(0, len(ANSWER), size)]
    assert _stream(pieces) == _stream([ANSWER])


def test_a_finished_block_is_shown_when_the_next_begins_and_not_again() -> None:
    console = fake_console(terminal=True)
    writer = MarkdownWriter(console=console)
    writer.push("First.\n\n")
    assert console.out.file.text == ""
    writer.push("Second.\n")
    assert console.out.file.text == "First.\n"
    writer.finish()
    assert console.out.file.text == "First.\n\nSecond.\n"


def test_markup_in_the_answer_stays_text() -> None:
    page = _stream([ANSWER])
    assert '"[bold]no[/bold]"' in page
    assert "[/INST]" in page


def test_colour_only_where_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    coloured, plain = _stream([ANSWER], color=True), _stream([ANSWER])
    assert "\x1b[" in coloured
    assert "\x1b" not in plain
    assert _plain(coloured).split() == plain.split()


@pytest.mark.parametrize("evil", ["\x1b]8;;http://x\x07", "\u202e", "&#x202e;", "[a](http://x/\x1b)", "\x9b31m"])
def test_nothing_unsafe_reaches_the_terminal(evil: str) -> None:
    assert not re.search("[\x1b\x9b\u202e\x07]", _stream([f"a {evil} b\n\n`{evil}`\n"]))


@pytest.mark.parametrize("columns", [20, 80])
def test_the_page_keeps_to_the_width(columns: int) -> None:
    page = render("word " * 50 + "\n\n- " + "item " * 20, columns=columns, color=False)
    assert max(len(line) for line in page.splitlines()) <= columns


def test_one_long_block_is_not_parsed_again_at_every_line(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    parse = markdown._parse
    monkeypatch.setattr(markdown, "_parse", lambda text: (seen.append(len(text)), parse(text))[1])
    text = "".join(f"- item number {number}\n" for number in range(2000))
    _stream(text.splitlines(keepends=True))
    assert sum(seen) < 6 * len(text)


@pytest.mark.parametrize(
    ("answer", "block"),
    [
        ("Text\n```python\nx = 1\n\ny\n```\nmore\n```\nsecond\n```", "x = 1\n\ny\n"),
        ("~~~\na\n```\nb\n~~~", "a\n```\nb\n"),
        ("````\n```\ninner\n```\n````", "```\ninner\n```\n"),
        ("- item\n  ```\n  indented\n  ```", "indented\n"),
        ("```\ncut off", "cut off"),
        ("```\n```", ""),
        ("inline ```x``` only", None),
        ("", None),
    ],
)
def test_the_first_fenced_block_is_found_as_commonmark_says(answer: str, block: str | None) -> None:
    assert first_code_block(answer) == block
