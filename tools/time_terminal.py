"""How long the terminal's own parts take: `mistral history` among many chats, and Markdown while it streams.

Prints one line a figure. Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import statistics
import subprocess
import sysconfig
import tempfile
import time
from pathlib import Path

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


if __name__ == "__main__":
    main()
