"""Commands for files and programs: read one, write the answer or the chat, copy, pipe."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
from typing import TYPE_CHECKING

from mistral_cli.chat.transcript import FORMS
from mistral_cli.errors import MistralError, UsageError
from mistral_cli.ui.clipboard import copy
from mistral_cli.ui.in_front import how_it_ended, run_in_front
from mistral_cli.ui.paths import names_after, path_of
from mistral_cli.ui.slash.choice import Choice, numbered
from mistral_cli.ui.slash.row import ABOUT, SlashCommand, excerpt, last_turn, unquoted, whole_number
from mistral_cli.ui.stdin import read_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mistral_cli.ui.repl import Repl


def _file(repl: Repl, words: str) -> None:
    """Read a text that follows the next question; the words after the name are that question."""
    name, _, question = words.partition(" ") if not words.startswith(('"', "'")) else _quoted_name(words)
    if not name:
        raise UsageError("/file has no name.", "For instance: /file notes.md What is missing here?")
    path = path_of(name)
    text = read_file(str(path), repl.console.warning)
    if "\0" in text:
        raise UsageError(f"{name} is no text.")
    repl.attached.append(text)
    if question.strip():
        repl.send(question.strip())
    else:
        repl.console.notice(f"{path.name}, {len(text):,} characters, follows the next question.")


def _quoted_name(words: str) -> tuple[str, str, str]:
    name, quote, question = words[1:].partition(words[0])
    return name, quote, question


def _copy(repl: Repl, words: str) -> None:
    """Copy the answer, or its N-th code block."""
    text = last_turn(repl).answer
    if words:
        blocks = code_blocks(text)
        text = blocks[whole_number(words, "code block", len(blocks)) - 1]
    by = copy(text, repl.console)
    repl.console.notice(f"Copied {len(text):,} characters ({by}).")


def code_blocks(text: str) -> list[str]:
    """Return what stands in each fenced code block (CommonMark, section 4.5)."""
    from markdown_it import MarkdownIt

    return [token.content for token in MarkdownIt().parse(text) if token.type == "fence"]


def _write(repl: Repl, words: str) -> None:
    text = last_turn(repl).answer
    _save(repl, words, lambda _path: text if text.endswith("\n") else text + "\n", "/write answer.md")


def _export(repl: Repl, words: str) -> None:
    """Write the chat, as it stands on this branch, for people or for programs."""

    def text(path: Path) -> str:
        form = FORMS.get(path.suffix.lower())
        if form is None:
            ways = " nor ".join(FORMS)
            raise UsageError(f"{path.name:.100} ends in neither {ways}.", "For instance: /export talk.md")
        return form(repl.conversation)

    last_turn(repl)
    _save(repl, words, text, "/export talk.md")


def _save(repl: Repl, words: str, text: Callable[[Path], str], example: str) -> None:
    is_forced = words.startswith("!")
    name = unquoted(words.removeprefix("!").strip())
    if not name:
        raise UsageError(f"{example.split()[0]} has no file name.", f"For instance: {example}")
    path = path_of(name)
    data = text(path).encode("utf-8", "surrogateescape")
    with _told(name):
        is_there = path.is_file()
    if is_there and not is_forced:
        if repl.is_strict or not repl.console.can_ask:
            raise UsageError(f"{name} exists already.", f"{example.split()[0]}! replaces it.")
        if not repl.console.ask(f"{name} exists. Replace it?"):
            return
    with _told(name):
        _put(path, data)
    repl.console.notice(f"Wrote {name}, {len(data):,} bytes.")


@contextlib.contextmanager
def _told(name: str) -> Iterator[None]:
    """Tell in our words what the disk says; a ``ValueError`` is a NUL in the name."""
    try:
        yield
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise MistralError(f"{name:.100} cannot be written: {reason}.", "Name another place.") from error


def _put(path: Path, data: bytes) -> None:
    """Write a file and put it in its place at once, so that what was there is lost only when all is written.

    What is no file (a FIFO, ``/dev/full``) is written to as it is, never replaced.
    """
    if path.exists() and not path.is_file():
        with path.open("wb", buffering=0) as device:
            device.write(data)
        return
    beside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with beside.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            beside.chmod(stat.S_IMODE(path.stat().st_mode))
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _pipe(repl: Repl, words: str) -> None:
    """Hand the answer to a command of the user's own shell."""
    text = last_turn(repl).answer
    if not words:
        raise UsageError("/pipe has no command.", "For instance: /pipe wc -w")
    shell = os.environ.get("SHELL") or "/bin/sh"
    repl.console.clear_status()
    try:
        code = run_in_front([shell, "-c", words], data=text.encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise MistralError(f"{shell} cannot run the command: {error.strerror}.", "SHELL names the program.") from error
    repl.console.fresh_line()
    if code == -signal.SIGINT:
        raise KeyboardInterrupt
    if code:
        raise MistralError(f"The command ended with {how_it_ended(code)}: {words:.60}")


def _complete_file(_repl: Repl, typed: str) -> list[Choice]:
    """Return the files that the last word may name."""
    return names_after(typed.removeprefix("! ").lstrip())


def _complete_first(_repl: Repl, typed: str) -> list[Choice]:
    """Return the files that the first word may name; what follows it is a question."""
    name = typed.lstrip()
    is_over = name.rstrip() != name or (" " in name and name[0] not in "\"'")
    return [] if is_over else names_after(name)


def _complete_block(repl: Repl, typed: str) -> list[Choice]:
    path = repl.conversation.path()
    blocks = repl.looked_up("blocks", lambda: [Choice(block) for block in code_blocks(path[-1].answer)]) if path else []
    return numbered(typed, (excerpt(block.text, ABOUT) for block in blocks))


COMMANDS = (
    SlashCommand("/file", "FILE [QUESTION]", "Put a text file behind the next question.", _file, _complete_first),
    SlashCommand("/copy", "[N]", "Copy the answer, or its N-th code block.", _copy, _complete_block),
    SlashCommand("/write", "FILE", "Write the answer to a file; /write! replaces one.", _write, _complete_file),
    SlashCommand("/pipe", "COMMAND", "Give the answer to a shell command.", _pipe),
    SlashCommand(
        "/export", "FILE.md|.json", "Write this chat to a file; /export! replaces one.", _export, _complete_file
    ),
)
