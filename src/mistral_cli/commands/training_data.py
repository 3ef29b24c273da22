"""From the flags for training data to rows, and to how they are to be understood. The tune room is entered here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mistral_cli.errors import ModelNotFoundError, UsageError
from mistral_cli.ui.console import Console
from mistral_cli.ui.stdin import Stdin

if TYPE_CHECKING:
    from mistral_cli.tune.dataset import Reading
    from mistral_cli.tune.formats import Languages
    from mistral_cli.tune.rows import Row
    from mistral_cli.tune.samples import Loss

OPTIONAL = ("tools", "input", "system")
"""Columns that a row may have beside those of its format."""
TOLD_EVERY = 1000
"""Rows from one word on the screen to the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFlags:
    """What ``data_options`` holds, as it was typed."""

    format: str | None = None
    map: Sequence[str] | None = None
    source: str | None = None
    target: str | None = None
    subset: str | None = None
    split: str | None = None
    strict: bool = False
    yes: bool = False

    def reading(self, *, loss: Loss, length: int) -> Reading:
        """Return how rows are to be understood.

        Raises:
            UsageError: flags that contradict each other, or name a column that no format has.
        """
        from mistral_cli.tune.dataset import Reading

        languages = self._languages()
        return Reading(
            format=self.format,
            columns=self._columns(languages),
            languages=languages,
            loss=loss,
            length=length,
            strict=self.strict,
        )

    def rows(self, name: str, console: Console | None = None) -> Iterator[Row]:
        """Yield the rows of a file, of stdin (``-``), of a folder or of a hub's data set, telling how many were read.

        Args:
            name: as it was typed.
            console: where it is told, and a person is asked whether something large is downloaded; None: nobody is.

        Raises:
            UsageError: --subset or --split where there is none; a column that --map names and no row has; as
                ``read_rows`` and ``data_set_rows``.
            ModelNotFoundError, NetworkError, MistralError: as those.
        """
        rows = _with_columns(self._rows(name, console), [theirs for _, theirs in self._pairs()])
        return rows if console is None else _told(rows, console)

    def _rows(self, name: str, console: Console | None) -> Iterator[Row]:
        from mistral_cli.tune.data_sets import PACKED, data_set_rows, is_id
        from mistral_cli.tune.rows import read_rows

        path = Path(name)
        try:
            is_packed = path.suffix.lower() in PACKED and path.is_file()
            is_set = path.is_dir() or is_packed or (name != "-" and not path.exists() and is_id(name))
        except OSError as error:  # too long for a file's name
            raise ModelNotFoundError(f"There is no data at {name:.60}: {error.strerror}.", "Check the path.") from None
        if is_set:
            return data_set_rows(name, self.subset, self.split, lambda size: self._agrees(name, size, console))
        for flag, value in (("--subset", self.subset), ("--split", self.split)):
            if value is not None:
                raise UsageError(f"{flag} is given, but {name} is one file.", "Leave it out.")
        return _stdin_rows(console) if name == "-" else read_rows(path)

    def _agrees(self, name: str, size: int | None, console: Console | None) -> bool:
        """Ask whether a data set is to be downloaded."""
        much = f"{size / 1e9:.1f} GB" if size is not None else "nobody knows how many bytes"
        if self.yes or console is None or not console.can_ask:
            return self.yes
        return console.ask(f"The data set {name} is {much}. Download it?")

    def _languages(self) -> Languages | None:
        from mistral_cli.tune.formats import Languages

        given = (self.source is not None) + (self.target is not None)
        if given == 1 or (not given and self.format == "translation"):
            raise UsageError("A translation wants --source and --target.", "For example: --source en --target fr")
        if not given:
            return None
        if self.format not in (None, "translation"):
            raise UsageError(f"--source and --target have no place in --format {self.format}.", "Leave them out.")
        return Languages(source=self.source or "", target=self.target or "")

    def _columns(self, languages: Languages | None) -> Mapping[str, str]:
        """Return our names of columns -> the data's own."""
        from mistral_cli.tune.formats import FORMATS

        known = [*dict.fromkeys(name for form in FORMATS.values() for name in form.columns), *OPTIONAL]
        known += [languages.source, languages.target] if languages else []
        pairs = self._pairs()
        columns = dict(pairs)
        if len(columns) < len(pairs):
            raise UsageError("--map names a column twice.", "Each of ours once: --map prompt=question")
        strange = next((name for name in columns if name not in known), None)
        if strange is not None:
            raise UsageError(f"--map: no format has a column {strange!a:.60}.", f"There are: {', '.join(known)}.")
        return columns

    def _pairs(self) -> list[tuple[str, str]]:
        """Return our names of columns and the data's own, as --map has them."""
        return [_pair(text) for given in self.map or () for text in re.split(r",(?=[^,=]+=)", given)]


def _stdin_rows(console: Console | None) -> Iterator[Row]:
    from mistral_cli.tune.rows import read_stream

    stdin = Stdin.open()
    if stdin.file is None:
        raise UsageError("The data is `-`, stdin, but stdin is closed.", "Name a file.")
    say = console.notice if console is not None else lambda _text: None
    stdin.wait(lambda: say("Waiting for the data on stdin …"))
    return read_stream(stdin.file, "stdin")


def _with_columns(rows: Iterator[Row], wanted: Sequence[str]) -> Iterator[Row]:
    """Hand rows on; in the end refuse a wanted column that none has: nobody would notice that it is missing."""
    missing, first = dict.fromkeys(wanted), list[str]()
    for row in rows:
        names = row.columns or {}
        missing = {name: None for name in missing if name not in names}
        first = first or [str(name) for name in names]
        yield row
    if missing and first:
        message = f"--map names the column {next(iter(missing))!a:.60}, which no row has."
        raise UsageError(message, f"The first row has: {', '.join(first):.200}.")


def _told(rows: Iterator[Row], console: Console) -> Iterator[Row]:
    for count, row in enumerate(rows, 1):
        if not count % TOLD_EVERY:
            console.status(f"{count:,} rows read …")
        yield row
    console.clear_status()


def _pair(text: str) -> tuple[str, str]:
    name, _, theirs = (part.strip() for part in text.partition("="))
    if not name or not theirs:
        raise UsageError(f"--map is {text!a:.60}, but must be OURS=THEIRS.", "For example: --map prompt=question")
    return name, theirs
