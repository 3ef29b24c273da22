"""From the flags for training data to rows, and to how they are to be understood. The tune room is entered here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mistral_cli.errors import UsageError

if TYPE_CHECKING:
    from mistral_cli.tune.dataset import Reading
    from mistral_cli.tune.formats import Languages
    from mistral_cli.tune.rows import Row
    from mistral_cli.tune.samples import Loss

OPTIONAL = ("tools", "input", "system")
"""Columns that a row may have beside those of its format."""


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

    def rows(self, name: str) -> Iterator[Row]:
        """Yield the rows of a file, as ``read_rows``."""
        from pathlib import Path

        from mistral_cli.tune.rows import read_rows

        return read_rows(Path(name))

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
        pairs = [_pair(text) for given in self.map or () for text in re.split(r",(?=[^,=]+=)", given)]
        columns = dict(pairs)
        if len(columns) < len(pairs):
            raise UsageError("--map names a column twice.", "Each of ours once: --map prompt=question")
        strange = next((name for name in columns if name not in known), None)
        if strange is not None:
            raise UsageError(f"--map: no format has a column {strange!a:.60}.", f"There are: {', '.join(known)}.")
        return columns


def _pair(text: str) -> tuple[str, str]:
    name, _, theirs = (part.strip() for part in text.partition("="))
    if not name or not theirs:
        raise UsageError(f"--map is {text!a:.60}, but must be OURS=THEIRS.", "For example: --map prompt=question")
    return name, theirs
