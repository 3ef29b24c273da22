"""How long the terminal's own parts take: Markdown while it streams, `mistral history` among many chats, a key's echo.

Prints one line a figure. Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import os
import random
import statistics
import subprocess
import sysconfig
import tempfile
import time
from pathlib import Path

import pexpect

from mistral_cli.chat.inputs import append_input
from mistral_cli.chat.store import open_store
from mistral_cli.chat.turn import Turn, TurnRecord
from mistral_cli.ui.console import Console, Stream
from mistral_cli.ui.markdown.writer import MarkdownWriter

MISTRAL = str(Path(sysconfig.get_path("scripts")) / "mistral")
MODEL = "mistralai/Mistral-7B-Instruct-v0.3"
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
RATE = 200
"""Tokens a second."""
ACTIONS = (("list",), ("list", "--json"), ("search", "word17"), ("search", "word17 word18"), ("search", "nowhere"))
DRAWN = b"\x1b[?25h"
"""The cursor is shown again: the line is on the screen."""
STILL = 0.05
"""Seconds without a change on the screen before a key is pressed."""
LINE = "question 17 of another kind, as @long as lines may be"
"""What is typed: it begins like many earlier lines, and names a file that is none."""
ANSWER = """# Title

Some *words* here, **bold words that go on**, `code x`, [a link](https://example.com/a), and more of them in this line.

- one
- two with a long text that must be wrapped because it is longer than the line of this terminal is
  1. nested

```python
def f(x: int) -> str:
    return f"{x} of them"  # and why
```

| name | value |
|---|--:|
| one | 1 |
| two | 2 |

"""


def _filled(folder: str, chats: int, turns: int) -> None:
    """Keep that many chats of made-up words."""
    draw = random.Random(1)
    words = [f"word{number}" for number in range(3000)]
    record = TurnRecord(model=MODEL, when="2026-01-31T12:00:00Z")
    store = open_store(Path(folder) / "chats.db")
    with store.together():
        for _ in range(chats):
            question = " ".join(draw.choices(words, k=8))
            session, parent = store.new_session(question=question, model=MODEL), None
            for _ in range(turns):
                answer = " ".join(draw.choices(words, k=120))
                turn = Turn(parent=parent, question=question, answer=answer, record=record)
                parent = store.add_turn(session.id, turn).id
            append_input(store, f"question {session.id} of the usual length, whatever it asks")
    store.close()


def _seconds(folder: str, action: tuple[str, ...], runs: int) -> tuple[float, float]:
    """Return the median and the longest time of a process that does it."""
    environment = {**os.environ, "MISTRAL_CLI_HOME": folder}
    taken = []
    for _ in range(runs):
        begun = time.perf_counter()
        subprocess.run([MISTRAL, "history", *action], env=environment, check=True, **QUIET)
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken), max(taken)


def _rendering(tokens: int) -> float:
    """Stream Markdown at ``RATE`` tokens a second into a terminal of 80 columns; return the renderer's seconds."""
    stream = Stream(file=io.BytesIO(), is_terminal=True, color=True, can_redraw=True)
    now = [0.0]
    spent = 0.0
    writer = MarkdownWriter(console=Console(out=stream, err=stream), clock=lambda: now[0] + time.perf_counter())
    text = (ANSWER * (4 * tokens // len(ANSWER) + 1))[: 4 * tokens]
    for start in range(0, len(text), 4):
        now[0] += 1 / RATE
        begun = time.perf_counter()
        writer.push(text[start : start + 4])
        spent += time.perf_counter() - begun
    writer.finish()
    return spent


def _echoes(folder: str, lines: int) -> list[float]:
    """Type lines into a chat that nothing else happens in; return the seconds from each key to the drawn line."""
    environment = {**os.environ, "MISTRAL_CLI_HOME": folder, "TERM": "xterm-256color"}
    chat = pexpect.spawn(MISTRAL, ["chat", "-m", "builtin"], env=environment, dimensions=(24, 80), timeout=60)
    chat.delaybeforesend = None
    chat.expect_exact(b"> ")
    chat.expect_exact(DRAWN)
    taken = []
    for key in itertools.chain(*[LINE + "\x03"] * lines):  # Ctrl-C clears the line
        with contextlib.suppress(pexpect.TIMEOUT):
            while chat.expect(b".+", timeout=STILL) == 0:
                pass
        begun = time.perf_counter()
        chat.send(key)
        chat.expect_exact(DRAWN)
        taken.append(time.perf_counter() - begun)
    chat.close(force=True)
    return taken


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chats", type=int, default=10_000)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--runs", type=int, default=7)
    asked = parser.parse_args()
    _rendering(200)  # imports
    for tokens in (1000, 8000):
        seconds = _rendering(tokens)
        share = seconds * RATE / tokens
        print(f"rendering {tokens:,} tokens at {RATE} tokens/s: {seconds:.2f} s, {share:.1%} of their time")
    with tempfile.TemporaryDirectory() as folder:
        _filled(folder, asked.chats, asked.turns)
        for action in ACTIONS:
            median, longest = _seconds(folder, action, asked.runs)
            print(
                f"mistral history {' '.join(action)}: {median:.2f} s (longest {longest:.2f} s), {asked.chats:,} chats"
            )
        echoes = [1000 * seconds for seconds in _echoes(folder, asked.runs)]
        print(
            f"a key's echo: {statistics.median(echoes):.1f} ms (longest {max(echoes):.1f} ms of {len(echoes):,} keys), "
            f"{asked.chats:,} earlier lines"
        )


if __name__ == "__main__":
    main()
