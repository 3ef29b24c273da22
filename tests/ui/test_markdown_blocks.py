"""Tables and code in an answer: of any width and height, each row and line once, and code as it was said."""

from __future__ import annotations

import re

import pytest
from streamed_pages import page, pieces, screen, stream

from fakes import fake_console
from mistral_cli.ui.markdown.extract import code_blocks, first_code_block
from mistral_cli.ui.markdown.writer import MarkdownWriter, render


def test_a_table_taller_than_the_screen_loses_and_doubles_no_row() -> None:
    rows = "".join(f"| row{number} | {'w' * (number % 30)} |\n" for number in range(60))
    console = fake_console(terminal=True, columns=40, rows=10)
    writer = MarkdownWriter(console=console)
    for piece in pieces("| a | b |\n|---|---|\n" + rows + "\nEnd.\n", 5):
        writer.push(piece)
    writer.finish()
    shown = "\n".join(screen(console.out.file.text, 40, rows=10))
    assert re.findall(r"row\d+", shown) == [f"row{number}" for number in range(60)]
    assert shown.count("w") == rows.count("w") - rows.count("row") + 60


WIDE = (
    "| Way | Memory | Speed of them | Use |\n|--|--:|:-:|---|\n| map | pages | fastest | random access |\n| a | | x |\n"
)


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_rows_of_a_table_whose_words_do_not_fit_into_columns_stand_as_paragraphs(size: int) -> None:
    shown = screen(stream(pieces(WIDE + "\nEnd.\n", size), columns=20), 20)
    assert shown == [
        *("Way: map", "Memory: pages", "Speed of them:", "  fastest", "Use: random access", ""),
        *("Way: a", "Memory:", "Speed of them: x", "Use:", "", "End."),
    ]


def test_a_table_of_which_there_is_a_header_alone_shows_its_names() -> None:
    assert page(WIDE[: WIDE.index("| map")], 20) == ["Way:", "Memory:", "Speed of them:", "Use:"]


def test_rows_as_paragraphs_taller_than_the_screen_stand_there_once() -> None:
    rows = "".join(f"| row{number} | first{number} | second{number} |\n" for number in range(30))
    text = f"| one | two | three |\n|---|---|---|\n{rows}"
    shown = screen(stream(pieces(text, 7), columns=20, rows=8), 20, rows=8)
    assert shown == page(text, 20)
    assert re.findall(r"second\d+", "\n".join(shown)) == [f"second{number}" for number in range(30)]


def test_a_long_line_of_code_is_one_line_for_whoever_copies_it() -> None:
    line = "x = " + "1 + " * 60 + "1"
    assert line in stream(pieces(f"```\n{line}\n```\n", 9), columns=40)


@pytest.mark.parametrize("fence", ["```python", "```", "- item\n  ```json"])
def test_a_line_of_code_longer_than_the_screen_stands_there_once(fence: str) -> None:
    line = " ".join(f"word{number}" for number in range(600))
    for end in ("", "\n", "\n```\nmore\n"):
        sent = stream(pieces(f"{fence}\n{'  ' * fence.startswith('-')}{line}{end}", 7), columns=40, rows=10, color=True)
        shown = "".join(screen(sent, 40, rows=10))
        assert re.findall(r"word\d+", shown.replace(" " * 40, "")) == line.split()


def test_a_row_of_a_table_longer_than_the_screen_stands_there_once() -> None:
    words = [f"word{number}" for number in range(600)]
    text = f"| {' '.join(words[:200])} | b |\n|---|---|\n| {' '.join(words[200:])} | x |\n\nEnd.\n"
    shown = "\n".join(screen(stream(pieces(text, 7), columns=40, rows=10), 40, rows=10))
    assert re.findall(r"word\d+", shown) == words


def test_code_is_shown_as_it_was_said_in_every_language() -> None:
    code = "a\t= 'x'  # [bold]\n  <b>&amp;</b> {\n/* open\n}\n```x"
    for language in ("python", "html", "c", "json", "bash", "no-such-language", ""):
        page = render(f"````{language}\n{code}\n````\n", columns=80, color=False)
        assert page.split("\n")[1:-2] == code.split("\n")


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


def test_all_fenced_blocks_are_found_in_their_order() -> None:
    assert code_blocks("```\na\n```\ntext\n~~~sh\nb\n~~~\n") == ["a\n", "b\n"]
