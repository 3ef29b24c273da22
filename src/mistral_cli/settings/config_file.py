"""The user's ``config.toml``, changed one option at a time: checked as at loading, written whole or not at all."""

from __future__ import annotations

import contextlib
import difflib
import os
import tempfile
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from mistral_cli.errors import UsageError
from mistral_cli.settings.load import CONFIG_NAME, check_file, read_option
from mistral_cli.settings.options import OPTIONS
from mistral_cli.settings.places import places, private_folder
from mistral_cli.settings.toml_edit import literal, with_value, without
from mistral_cli.settings.toml_file import TomlFile, read_toml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_BOM = "\ufeff"


def config_path() -> Path:
    """Return where the file belongs; it need not exist."""
    return places().config / CONFIG_NAME


def option_name(typed: str) -> str:
    """Return the option that was meant: ``top_p``, ``top-p`` and ``--top-p`` are one.

    Raises:
        UsageError: there is none of that name.
    """
    name = typed.lstrip("-").replace("-", "_").lower()
    if name not in OPTIONS:
        near = difflib.get_close_matches(name, OPTIONS, n=1)
        hint = f"Did you mean {near[0]}?" if near else "See them all: mistral config list"
        raise UsageError(f"There is no option {typed!a:.80}.", hint)
    return name


def set_option(name: str, words: Sequence[str]) -> str:
    """Set an option to what was typed; return what is wrong with the rest of the file, if anything.

    Raises:
        UsageError: a value that it cannot have, with its range; or a file that cannot be changed, with the line.
        OSError: it cannot be written.
    """
    given = words[0] if len(words) == 1 else list(words)
    value = _as_toml(name, given)
    return _change(lambda text: with_value(text, name, value))


def unset_option(name: str) -> str:
    """Remove an option from the file; return what is wrong with the rest of it, if anything.

    Raises:
        UsageError: a file that cannot be changed, with the line.
        OSError: it cannot be written.
    """
    return _change(lambda text: without(text, name))


def _as_toml(name: str, given: str | list[str]) -> str:
    """Return what was typed as TOML: a number as it was typed, a text in quotes.

    Raises:
        UsageError: the option cannot have it.
    """
    value = read_option(name, given, name)
    if isinstance(given, str) and not isinstance(value, (str, bool)):
        with contextlib.suppress(ValueError):
            typed = tomllib.loads(f"{name} = {given.strip()}")
            if (
                typed.keys() == {name}
                and "\n" not in given.strip()
                and OPTIONS[name].metadata["read"](typed[name]) == value
            ):
                return given.strip()
        if isinstance(value, int):  # with a unit: 40GB
            return literal(given.strip())
    try:
        return literal(value)
    except UnicodeEncodeError as error:
        raise UsageError(f"{name} is not valid UTF-8, and a TOML file must be.", "Give it as a flag.") from error


def _change(change: Callable[[str], str]) -> str:
    """Change the file's text and write it; return what was wrong with it before and still is.

    Raises:
        UsageError: it cannot be changed, or would be wrong only then.
    """
    path = config_path()
    private_folder(path.parent)
    with _alone(path.parent):
        file = _read(path)
        before = check_file(file)
        try:
            text = change(file.text)
        except ValueError as error:
            raise UsageError(f"{path} cannot be changed: {error}.", "Change it in an editor.") from error
        problem = check_file(TomlFile(path=path, text=text, table=tomllib.loads(text)))
        if problem and not before:
            raise UsageError(problem)
        if text != file.text:
            _write(path.resolve(), text)  # where it is a link, to a folder of dotfiles perhaps, the link stays
    return problem


def _read(path: Path) -> TomlFile:
    try:
        return read_toml(path)
    except FileNotFoundError:
        return TomlFile(path=path, text="", table={})


def _write(path: Path, text: str) -> None:
    """Write a file of the user's alone (0600) beside its place, sync it, and give it the name."""
    mark = _BOM if path.exists() and path.read_bytes().startswith(_BOM.encode()) else ""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write((mark + text).encode())
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other processes that change the file out meanwhile, so that none of the changes is lost."""
    try:
        import fcntl  # noqa: PLC0415 (POSIX only)
    except ImportError:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
