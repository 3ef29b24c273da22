"""An answer in Markdown, streamed to a terminal in memory, and what that shows: for the tests of Markdown."""

from __future__ import annotations

import re

import pyte

from fakes import fake_console
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


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)


def pieces(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]


def stream(pieces: list[str], **options) -> str:
    console = fake_console(terminal=True, **options)
    writer = MarkdownWriter(console=console)
    for piece in pieces:
        writer.push(piece)
    writer.finish()
    return console.out.file.text


def screen(sent: str, columns: int, rows: int = 24) -> list[str]:
    """Return what a terminal that was sent this shows, from the first line that scrolled off to the last."""
    screen = pyte.HistoryScreen(columns, rows, history=100_000)
    pyte.Stream(screen).feed(sent.replace("\n", "\r\n"))
    rows_above = ["".join(row[column].data for column in range(columns)) for row in screen.history.top]
    return "\n".join(line.rstrip() for line in (*rows_above, *screen.display)).rstrip().split("\n")


def page(text: str, columns: int) -> list[str]:
    """Return the same for the text as a whole."""
    return screen(render(text, columns=columns, color=False), columns)
