"""The pictures of the documentation: scenes played in a real terminal, each on the program as it is now.

Knows what is typed and what must stand on the screen then. Two speakers: the built-in model, and for what it never
says (tables) a script that is read out, called so in its picture.
"""

from __future__ import annotations

import json
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mistral_cli.chat.store import open_store
from mistral_cli.chat.turn import Turn, TurnRecord
from screen import drawn, plain_environment, play, words

if TYPE_CHECKING:
    import pyte

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
LARGEST = 250_000
"""Bytes of one picture."""
BIN = Path(sysconfig.get_path("scripts"))
MISTRAL = str(BIN / "mistral")
SHELL = ("bash", "--norc", "--noprofile", "-i")
CTRL_D = "\x04"
READY = "▱"
"""A part of the bar under a chat's line."""
BUILTIN = (MISTRAL, "chat", "--model", "builtin", "--temperature", "0", "--no-store")
ANSWER = """\
Read it line by line: a file of **any size** then takes the memory of *one line*.

```python
from collections import Counter
from pathlib import Path

def count_words(path: Path) -> Counter[str]:
    \"\"\"Count the words of a file.\"\"\"
    counts: Counter[str] = Counter()
    with path.open() as lines:
        for line in lines:
            counts.update(line.split())
    return counts
```

| way            | memory    | good for          |
|:---------------|----------:|:------------------|
| `read_text()`  | the file  | small files       |
| line by line   | one line  | logs, any size    |
| `mmap`         | pages     | random access     |

1. Try it on a small file first.
2. `Counter.most_common(10)` lists the ten most frequent.
"""
SCRIPTED = {
    "command": "chat",
    "name": "a scripted answer",
    "context": 4096,
    "answers": [[ANSWER[start : start + 4] for start in range(0, len(ANSWER), 4)]],
    "flags": {"store": False},
}


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One picture: a program, what is typed at what, and a phrase that must stand there in the end."""

    name: str
    title: str
    command: tuple[str, ...]
    typed: tuple[tuple[str, str], ...]
    shows: tuple[str, ...]
    columns: int = 92
    keeps_chats: bool = False
    """Whether some chats lie in its home."""


SCENES = (
    Scene(
        name="chat",
        title="mistral chat",
        command=BUILTIN,
        typed=(
            ("hi, who are you?\r", READY),
            ("how do i summarise a file from a pipe?\r", "this one program"),
            ("and what is a KV cache?\r", "| mistral gen"),
            (CTRL_D, "earlier tokens"),
        ),
        shows=("keys and values of all earlier tokens",),
    ),
    Scene(
        name="markdown",
        title="mistral chat: an answer in Markdown",
        command=(sys.executable, str(ROOT / "tests" / "contract" / "program.py"), json.dumps(SCRIPTED)),
        typed=(("How do I count the words of a large file?\r", "of 4,096 tokens"), ("", "40.0 tokens/s")),
        shows=("def count_words(path: Path)", "lists the ten most frequent"),
    ),
    Scene(
        name="steering",
        title="mistral chat: /back, /alt, /why, /confidence",
        command=BUILTIN,
        typed=(
            ("What can you do?\r", READY),
            ('/back "can"\r', "For all flags"),
            ("/alt 2\r", "with yours."),
            ("/why\r", "A real model can do more"),
            ("/confidence\r", "the least sure."),
            (CTRL_D, "below 30 %"),
        ),
        shows=("/continue goes on from here", "90 % or more · 60 to 90 %"),
    ),
    Scene(
        name="pipe",
        title="mistral gen",
        command=SHELL,
        typed=(
            ('mistral gen "What is a KV cache?" | fold -s -w 80\r', "$"),
            ("echo 'What is LoRA?' | mistral gen | wc -w\r", "again. $"),
            ('mistral gen "What is NF4?" --json -o answer.json; wc -l answer.json\r', "wc -w 2"),
            ('mistral gen "Hello" --temperature 700; echo "exit code $?"\r', "1 answer.json $"),
            ("", "exit code 2 $"),
        ),
        shows=("--temperature is 700.0, but must be 0 to 100",),
    ),
    Scene(
        name="history",
        title="mistral history",
        command=SHELL,
        typed=(
            ("mistral history\r", "$"),
            ("mistral history search words\r", "a-haiku $"),
            ("mistral history export count-the-words -o chat.md && head -3 chat.md\r", "along the… $"),
            ("", "*one line*. $"),
        ),
        shows=("is in chat.md",),
        keeps_chats=True,
    ),
)
CHATS = (
    ("count the words", "How do I count the words of a large file?", ANSWER, "2026-03-02T18:04:00Z"),
    ("sorting", "Which sort is stable?", "Merge sort is; quicksort is not.", "2026-03-05T07:31:00Z"),
    (
        "a haiku",
        "Write a haiku about rain",
        "Rain on the tin roof,\nwords nobody has written\nrun along the wall.",
        "2026-03-09T21:15:00Z",
    ),
)


def _keep_chats(home: str) -> None:
    store = open_store(Path(home) / "chats.db")
    for name, question, answer, when in CHATS:
        session = store.new_session(name.replace(" ", "-"), model="mistralai/Mistral-7B-Instruct-v0.3")
        record = TurnRecord(model="mistralai/Mistral-7B-Instruct-v0.3", when=when)
        store.add_turn(session.id, Turn(question=question, answer=answer, record=record))
    store.close()


def record(scene: Scene) -> pyte.Screen:
    """Play a scene in a home of its own; return its last screen."""
    with tempfile.TemporaryDirectory() as home:
        if scene.keeps_chats:
            _keep_chats(home)
        environment = plain_environment(
            home,
            PATH=f"{BIN}:/usr/bin:/bin",
            PWD=home,
            PS1="$ ",
            MISTRAL_CLI_MODEL="builtin",
            MISTRAL_CLI_TEMPERATURE="0",
        )
        screen = play(scene.command, scene.typed, columns=scene.columns, environment=environment, folder=home)
    for phrase in scene.shows:
        assert phrase in words(screen), f"not on the screen: {phrase}\n" + "\n".join(screen.display).rstrip()
    return screen


def picture(scene: Scene) -> str:
    """Play a scene and return its picture."""
    return drawn(record(scene), scene.title)


def main(*names: str) -> None:
    """Export the pictures of these names, or every one."""
    for scene in SCENES:
        if scene.name in (names or (scene.name,)):
            path = DOCS / f"{scene.name}.svg"
            path.write_text(picture(scene), encoding="utf-8")
            assert path.stat().st_size < LARGEST
            print(path.relative_to(ROOT), file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
