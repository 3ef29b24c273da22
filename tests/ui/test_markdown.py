"""Markdown is shown while it streams, each line once for good, and never as Rich's own markup."""

from __future__ import annotations

import cProfile
import random
import re

import pyte
import pytest

from fakes import fake_console
from mistral_cli.ui.markdown.extract import code_blocks, first_code_block
from mistral_cli.ui.markdown.inline import render as render_words
from mistral_cli.ui.markdown.inline import render_begun, unchanging
from mistral_cli.ui.markdown.writer import MarkdownWriter, render

ANSWER = """# Title

Some *words* here, **bold words that go on**, `code x`, [a link](https://example.com/a), <https://z.org>,
and more with a_snake_case and 2 * 3 * 4.

- one
- two with a very long text that must be wrapped because it is longer than the line of this terminal is
  1. nested
  2. also

     a paragraph in nested
- [x] done

1. first
   ```python
   def f(x):
       return "[bold]no[/bold]"
   ```
2. second

> quoted text that is rather long and goes on and on, wrapped with the bar on each line of it
> > deeper

~~~
a line of code that is a good deal longer than the line of this terminal is, and is not broken by anybody
~~~

| a | b |
|---|--:|
| 1 | 2 |
| `x|y` | **2** |

***
12. twelve

    indented = 1

2024 was a year. The end [/INST]. 中文字符测试，这里没有空格但是需要换行，因为它很长很长很长很长很长。
"""


def _plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)


def _pieces(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


def _stream(pieces: list[str], **options) -> str:
    console = fake_console(terminal=True, **options)
    writer = MarkdownWriter(console=console)
    for piece in pieces:
        writer.push(piece)
    writer.finish()
    return console.out.file.text


def _screen(sent: str, columns: int, rows: int = 24) -> list[str]:
    """Return what a terminal that was sent this shows, from the first line that scrolled off to the last."""
    screen = pyte.HistoryScreen(columns, rows, history=100_000)
    pyte.Stream(screen).feed(sent.replace("\n", "\r\n"))
    rows_above = ["".join(row[column].data for column in range(columns)) for row in screen.history.top]
    return "\n".join(line.rstrip() for line in (*rows_above, *screen.display)).rstrip().split("\n")


def _page(text: str, columns: int) -> list[str]:
    """Return the same for the text as a whole."""
    return _screen(render(text, columns=columns, color=False), columns)


@pytest.mark.parametrize("columns", [80, 40, 20])
@pytest.mark.parametrize("size", [1, 3, 7, 50])
def test_what_streamed_stands_on_the_screen_as_if_it_had_come_at_once(size: int, columns: int) -> None:
    assert _screen(_stream(_pieces(ANSWER, size), columns=columns, color=True), columns) == _page(ANSWER, columns)


def test_pieces_of_random_sizes_give_the_same_page() -> None:
    draw = random.Random(4)
    for _ in range(20):
        pieces, at = [], 0
        while at < len(ANSWER):
            size = draw.choice((1, 2, 5, 30, 200))
            pieces.append(ANSWER[at : at + size])
            at += size
        assert _screen(_stream(pieces, columns=40), 40) == _page(ANSWER, 40)


def test_an_answer_taller_than_the_screen_scrolls_and_stays_above_it() -> None:
    text = ANSWER * 5
    console = fake_console(terminal=True, columns=40, rows=6)
    writer = MarkdownWriter(console=console)
    for piece in _pieces(text, 4):
        writer.push(piece)
    writer.finish()
    shown, whole = _screen(console.out.file.text, 40, rows=6), _page(text, 40)
    assert [line for line in shown if "│" not in line] == [line for line in whole if "│" not in line]


def test_the_first_word_is_shown_at_once_and_later_ones_behind_it() -> None:
    console = fake_console(terminal=True)
    writer = MarkdownWriter(console=console)
    writer.push("Hello")
    assert console.out.file.text == "Hello"
    writer.push(" there, ")
    writer.push("you.")
    writer.finish()
    assert console.out.file.text == "Hello there, you.\n"


def test_emphasis_code_and_links_show_before_they_are_closed() -> None:
    assert (render_begun("a **bold te").plain, render_begun("`x = ").plain) == ("a bold te", "x = ")
    assert render_begun("a **bold te").spans == render_words("a **bold te**").spans
    assert render_begun("see [the do").plain == "see [the do"


def test_words_are_settled_only_outside_of_open_marks() -> None:
    assert unchanging("a **b c** d")[0] == len("a **b c** ")
    assert unchanging("a **b c") == (2, ["**"])
    assert unchanging("2 * 3 and x")[0] == len("2 * 3 and ")
    assert unchanging("`a b` and [x y](http://z z")[0] == len("`a b` and ")


def test_a_mark_that_is_never_closed_is_text_and_does_not_hold_the_rest() -> None:
    text = "5*3 is " + "many words " * 100
    console = fake_console(terminal=True)
    writer = MarkdownWriter(console=console)
    writer.push(text)
    assert len(console.out.file.text) > 400
    writer.finish()
    assert " ".join(_plain(console.out.file.text).split()).endswith(text.strip()[-500:])
    assert "5*3" in console.out.file.text


def test_an_open_fence_and_a_begun_table_are_shown_as_far_as_they_are() -> None:
    console = fake_console(terminal=True)
    writer = MarkdownWriter(console=console)
    writer.push("```python\nx = 1\ny =")
    assert _screen(console.out.file.text, 80) == ["── python ──────────", "x = 1", "y ="]
    writer.push(" 2\n```\n| a | b |\n")
    assert _screen(console.out.file.text, 80)[-1] == "| a | b |"
    writer.push("|---|---|\n| 1 ")
    assert _screen(console.out.file.text, 80)[-3:] == [" a │ b", "───┼───", "| 1"]
    writer.push("| 2 |\n")
    assert _screen(console.out.file.text, 80)[-1] == " 1 │ 2"
    writer.finish()


def test_a_table_taller_than_the_screen_loses_and_doubles_no_row() -> None:
    rows = "".join(f"| row{number} | {'w' * (number % 30)} |\n" for number in range(60))
    console = fake_console(terminal=True, columns=40, rows=10)
    writer = MarkdownWriter(console=console)
    for piece in _pieces("| a | b |\n|---|---|\n" + rows + "\nEnd.\n", 5):
        writer.push(piece)
    writer.finish()
    shown = "\n".join(_screen(console.out.file.text, 40, rows=10))
    assert re.findall(r"row\d+", shown) == [f"row{number}" for number in range(60)]
    assert shown.count("w") == rows.count("w") - rows.count("row") + 60


WIDE = (
    "| Way | Memory | Speed of them | Use |\n|--|--:|:-:|---|\n| map | pages | fastest | random access |\n| a | | x |\n"
)


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_rows_of_a_table_whose_words_do_not_fit_into_columns_stand_as_paragraphs(size: int) -> None:
    shown = _screen(_stream(_pieces(WIDE + "\nEnd.\n", size), columns=20), 20)
    assert shown == [
        *("Way: map", "Memory: pages", "Speed of them:", "  fastest", "Use: random access", ""),
        *("Way: a", "Memory:", "Speed of them: x", "Use:", "", "End."),
    ]


def test_a_table_of_which_there_is_a_header_alone_shows_its_names() -> None:
    assert _page(WIDE[: WIDE.index("| map")], 20) == ["Way:", "Memory:", "Speed of them:", "Use:"]


def test_rows_as_paragraphs_taller_than_the_screen_stand_there_once() -> None:
    rows = "".join(f"| row{number} | first{number} | second{number} |\n" for number in range(30))
    text = f"| one | two | three |\n|---|---|---|\n{rows}"
    shown = _screen(_stream(_pieces(text, 7), columns=20, rows=8), 20, rows=8)
    assert shown == _page(text, 20)
    assert re.findall(r"second\d+", "\n".join(shown)) == [f"second{number}" for number in range(30)]


def test_a_long_line_of_code_is_one_line_for_whoever_copies_it() -> None:
    line = "x = " + "1 + " * 60 + "1"
    assert line in _stream(_pieces(f"```\n{line}\n```\n", 9), columns=40)


@pytest.mark.parametrize("fence", ["```python", "```", "- item\n  ```json"])
def test_a_line_of_code_longer_than_the_screen_stands_there_once(fence: str) -> None:
    line = " ".join(f"word{number}" for number in range(600))
    for end in ("", "\n", "\n```\nmore\n"):
        sent = _stream(
            _pieces(f"{fence}\n{'  ' * fence.startswith('-')}{line}{end}", 7), columns=40, rows=10, color=True
        )
        shown = "".join(_screen(sent, 40, rows=10))
        assert re.findall(r"word\d+", shown.replace(" " * 40, "")) == line.split()


def test_a_row_of_a_table_longer_than_the_screen_stands_there_once() -> None:
    words = [f"word{number}" for number in range(600)]
    text = f"| {' '.join(words[:200])} | b |\n|---|---|\n| {' '.join(words[200:])} | x |\n\nEnd.\n"
    shown = "\n".join(_screen(_stream(_pieces(text, 7), columns=40, rows=10), 40, rows=10))
    assert re.findall(r"word\d+", shown) == words


def test_code_is_shown_as_it_was_said_in_every_language() -> None:
    code = "a\t= 'x'  # [bold]\n  <b>&amp;</b> {\n/* open\n}\n```x"
    for language in ("python", "html", "c", "json", "bash", "no-such-language", ""):
        page = render(f"````{language}\n{code}\n````\n", columns=80, color=False)
        assert page.split("\n")[1:-2] == code.split("\n")


def test_a_notice_in_the_middle_stands_on_a_line_of_its_own() -> None:
    console = fake_console(terminal=True)
    console.err.file = console.out.file
    writer = MarkdownWriter(console=console)
    writer.push("Hello there, ")
    console.notice("Careful.")
    writer.push("friend.")
    writer.finish()
    assert _screen(console.out.file.text, 80) == ["Careful.", "Hello there, friend."]


def test_without_a_cursor_to_move_only_whole_lines_come_and_no_escape() -> None:
    console = fake_console(columns=40)
    writer = MarkdownWriter(console=console)
    for piece in _pieces(ANSWER, 3):
        writer.push(piece)
    writer.finish()
    assert console.out.file.text == render(ANSWER, columns=40, color=False)
    assert "\x1b" not in console.out.file.text


def test_markup_in_the_answer_stays_text() -> None:
    page = render(ANSWER, columns=80, color=False)
    assert '"[bold]no[/bold]"' in page
    assert "[/INST]" in page
    assert "a link (https://example.com/a)" in " ".join(page.split())


def test_colour_only_where_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    coloured = render(ANSWER, columns=80, color=True)
    assert "\x1b[1m" in coloured
    assert "\x1b]8" not in coloured
    assert _plain(coloured) == render(ANSWER, columns=80, color=False)


@pytest.mark.parametrize("evil", ["\x1b]8;;http://x\x07", "\u202e", "&#x202e;", "[a](http://x/\x1b)", "\x9b31m"])
@pytest.mark.parametrize("size", [1, 1000])
def test_nothing_unsafe_reaches_the_terminal(evil: str, size: int) -> None:
    text = f"a {evil} b\n\n`{evil}`\n\n| {evil} |\n|---|\n| {evil} |\n\n```{evil}\n{evil}\n```\n# {evil}\n"
    assert not re.search("[\x1b\x9b\u202e\x07]", _plain(_stream(_pieces(text, size))))


@pytest.mark.parametrize("columns", [20, 80])
def test_the_page_keeps_to_the_width(columns: int) -> None:
    page = render("word " * 50 + "\n\n- " + "item " * 20 + "\n> " + "q " * 90, columns=columns, color=False)
    assert max(len(line) for line in page.splitlines()) <= columns


def _work(text: str) -> tuple[int, int]:
    """Stream a text, each token drawn as if drawing took no time; return calls of functions and bytes written."""
    console = fake_console(terminal=True, color=True)
    writer = MarkdownWriter(console=console, clock=lambda: 0.0)
    calls = cProfile.Profile()
    calls.enable()
    for piece in _pieces(text, 4):
        writer.push(piece)
    writer.finish()
    calls.disable()
    return sum(entry.callcount for entry in calls.getstats()), len(console.out.file.getvalue())


def _of(tokens: int, unit: str, head: str = "") -> str:
    return (head + unit * (4 * tokens // len(unit) + 1))[: 4 * tokens]


@pytest.mark.parametrize(
    ("head", "unit", "calls", "size"),
    [
        ("", "some words of one long paragraph ", 700, 8),
        ("", "many **words and `never closed ", 3500, 100),
        ("```python\n", "x = function(1, 'text')  # why\n", 500, 20),
        ("```\n", "one line of code without any end ", 200, 6),
        ("| a | b |\n|---|---|\n", "| some | words |\n", 4500, 40),
        ("", "- an item of a list\n  1. nested\n", 600, 8),
        ("", "[a link](http://x.org/y) and <http://z.org> ", 1100, 30),
    ],
)
def test_a_token_costs_the_same_wherever_it_stands(head: str, unit: str, calls: int, size: int) -> None:
    _work(head + unit)  # what is done once: imports, patterns
    few, many = _work(_of(250, unit, head)), _work(_of(1000, unit, head))
    assert many[0] < 4.4 * few[0]
    assert many[0] < calls * 1000
    assert many[1] < size * 1000


def test_eight_thousand_tokens_cost_eight_times_what_a_thousand_do() -> None:
    _work(ANSWER)
    thousand, more = _work(_of(1000, ANSWER)), _work(_of(8000, ANSWER))
    assert more[0] < 8 * 1.05 * thousand[0] < 8 * 1.05 * 800_000
    assert more[1] < 8 * 1.05 * thousand[1]


def test_drawing_what_is_not_settled_takes_a_twentieth_of_the_time_at_most() -> None:
    now, asked, drawings = 0.0, 0, 0

    def clock() -> float:
        nonlocal now, asked, drawings
        asked += 1
        if asked == 2:  # asked before a drawing and after it, which took as long as ten tokens do
            drawings += 1
            now += 0.05
        return now

    writer = MarkdownWriter(console=fake_console(terminal=True), clock=clock)
    writer.push("| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * 15)
    for _ in range(2000):
        asked, now = 0, now + 1 / 200
        writer.push("| 1")
    assert 5 < drawings < 0.05 * now / 0.05 + 3


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


def test_while_a_window_is_being_resized_nothing_is_drawn_and_then_all() -> None:
    now, columns = 0.0, 80
    console = fake_console(terminal=True)
    console.out.measure = lambda: columns
    writer = MarkdownWriter(console=console, clock=lambda: now)
    writer.push("Some words ")
    shown = console.out.file.text
    for width in (40, 20, 30):
        columns = width
        now += 0.2
        writer.push("and more ")
        assert console.out.file.text == shown
    now += 0.4
    writer.push("of them.")
    writer.finish()
    assert _screen(console.out.file.text, 30) == ["Some words and more and more", "and more of them."]
