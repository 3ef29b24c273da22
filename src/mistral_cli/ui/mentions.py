r"""``@path`` in a message: the file's text goes with it. An e-mail address, or a name that is no file's, stays text.

``\@`` is an ``@`` and nothing else. Knows no model and no keyboard.
"""

from __future__ import annotations

import re
import stat
from typing import TYPE_CHECKING, Final

from mistral_cli.errors import UsageError
from mistral_cli.ui.paths import path_of, read_name, size_of
from mistral_cli.ui.stdin import read_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_NAME: Final = r"""\"[^"\n]+\"|'[^'\n]+'|(?:\\[ "'@\\]|[^\s"'`\\])+"""
_MENTION: Final = re.compile(rf"(?<![^\s(\[{{])(?P<literal>\\?)@(?P<name>{_NAME})")
_BEGUN: Final = re.compile(r"""(?<![^\s(\[{])@("[^"\n]*|'[^'\n]*|(?:\\[ "'@\\]|[^\s"'`\\])*)$""")
_TAIL: Final = ".,;:!?)]}>"
"""What ends a sentence and not a name, unless a file is called so."""
_LONGEST: Final = 4096
"""No name of a file is longer."""
_ENDING: Final = re.compile(
    r"[^.]\.(?:bash|bib|c|cc|cfg|conf|cpp|cs|css|csv|cu|diff|docx?|gif|go|h|hpp|html?|ini|ipynb|java|jl|jpe?g|jsonl?|jsx?|"
    r"kt|log|lua|m|make|md|mk|odt|patch|pdf|php|pl|png|ps1|pyi?|r|rb|rs|rst|sh|sql|srt|svg|swift|tex|toml|tsv|tsx?|txt|"
    r"vue|webp|xlsx?|xml|ya?ml|zip|zsh)$",
    re.IGNORECASE,
)
"""A name that ends so was meant as a file's, whether it is there or not."""
_AS_TEXT: Final = r"\@ sends it as text."


def mention_before(text: str) -> str | None:
    """Return the name after the ``@`` that is being typed at the end of ``text``; None where none is."""
    found = _BEGUN.search(text[-_LONGEST:])
    return found[1] if found else None


def with_files(text: str, say: Callable[[str], None]) -> str:
    r"""Return a message with the texts of the files that it names by ``@`` behind it, each under its name.

    Args:
        text: what was typed; each ``\@`` where a name could begin becomes ``@``.
        say: told of each file and its size.

    Raises:
        UsageError: a name that was meant as a file's is none, or the file is no text.
        ContextError: a file is larger than any context.
    """
    files: dict[Path, str] = {}
    known: set[str] = set()

    def read(match: re.Match[str]) -> str:
        if match["literal"]:
            return match[0][1:]
        if match["name"] not in known:
            known.add(match["name"])
            name = _file_named(match["name"])
            if name is not None and path_of(name) not in files:
                files[path_of(name)] = f"{name}:\n\n{_text_of(name, say)}"
        return match[0]

    message = _MENTION.sub(read, text)
    return "\n\n".join([message, *files.values()])


def _file_named(typed: str) -> str | None:
    """Return the name of the file that is meant, None where it is no file's; what ends a sentence is no part of it.

    Raises:
        UsageError: a file is meant, but there is none.
    """
    whole = read_name(typed)
    if len(whole) > _LONGEST:
        return None
    shorter = whole.rstrip(_TAIL)
    is_quoted = whole != typed and typed[0] in "\"'"
    for name in (whole,) if is_quoted or not shorter else (whole, shorter):
        found = _kind(path_of(name))
        if found is not None and (is_quoted or "/" in name or not stat.S_ISDIR(found)):
            return name
    if is_quoted or _is_meant(shorter):
        raise UsageError(f"@{shorter if not is_quoted else whole}: there is no such file.", _AS_TEXT)
    return None


def _is_meant(name: str) -> bool:
    """Tell whether a name that is no file's was meant as one: a path, or an ending of files."""
    folder, slash, last = name.rpartition("/")
    if name.startswith(("/", "~/", "./", "../")):
        return True
    if slash and _kind(path_of(folder)) is not None:
        return True
    return _ENDING.search(last) is not None


def _kind(path: Path) -> int | None:
    """Return what ``stat`` says of a path, None where there is nothing."""
    try:
        return path.stat().st_mode
    except PermissionError:
        return stat.S_IFREG  # reading it will say so
    except (OSError, ValueError):
        return None


def _text_of(name: str, say: Callable[[str], None]) -> str:
    """Return the text of a file, and say what goes with the message."""
    path = path_of(name)
    kind = _kind(path) or 0
    if stat.S_ISDIR(kind):
        raise UsageError(f"@{name} is a folder.", f"Name a file in it. {_AS_TEXT}")
    if not stat.S_ISREG(kind):
        raise UsageError(f"@{name} is no file that can be read to its end.", _AS_TEXT)
    text = _read(path, name)
    say(f"{name} goes with it: {len(text):,} characters, {size_of(len(text.encode('utf-8', 'replace')))}.")
    return text


def _read(path: Path, name: str) -> str:
    def refuse(_text: str) -> None:
        hint = f"/file {name} reads it, with U+FFFD in place of what is not."
        raise UsageError(f"@{name} is not valid UTF-8: it is no text, or in another encoding.", hint)

    text = read_file(str(path), refuse)
    if "\0" in text:
        raise UsageError(f"@{name} is no text: it holds NUL characters.", _AS_TEXT)
    return text
