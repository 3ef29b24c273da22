"""Named TOML files of one kind: the user's own folder of them, then those that come with the program. Knows no kind."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mistral_cli.errors import UsageError
from mistral_cli.settings.names import problem_of
from mistral_cli.settings.places import places
from mistral_cli.settings.toml_file import read_toml

if TYPE_CHECKING:
    from mistral_cli.settings.toml_file import TomlFile

NONE: Final = "none"
"""Asks for no file at all, so that none can be called so."""
ENDING: Final = ".toml"
_OURS: Final = Path(__file__).parents[1] / "prompts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """All files of one kind. A file of the user's stands in front of one of ours that has its name."""

    kind: str
    """What one of them is called: ``role``."""
    folder: str

    @property
    def own(self) -> Path:
        """The user's folder; it need not exist."""
        return places().config / self.folder

    def names(self) -> list[str]:
        """Return the names that can be asked for, in alphabetical order."""
        files = [file for folder in (self.own, _OURS / self.folder) for file in folder.glob(f"*{ENDING}")]
        names = {file.name.removesuffix(ENDING) for file in files}
        return sorted(name for name in names if not self._problem(name))

    def find(self, name: str) -> Path:
        """Return the file of that name.

        Raises:
            UsageError: nothing can be called so, or nothing is; the message says where it belongs.
        """
        if problem := self._problem(name):
            raise UsageError(
                f"{name!a:.100} cannot be the name of a {self.kind}: {problem}.", "Letters, digits, - and . are fine."
            )
        for folder in (self.own, _OURS / self.folder):
            file = folder / f"{name}{ENDING}"
            if file.is_file():
                return file
        near = difflib.get_close_matches(name, self.names(), n=1)
        hint = f"Did you mean {near[0]}?" if near else f"Its file would be {self.own / (name + ENDING)}."
        raise UsageError(f"There is no {self.kind} called {name!a:.200}.", f"{hint} See `mistral {self.folder} list`.")

    def is_own(self, name: str) -> bool:
        """Tell whether the file of that name is the user's."""
        return self.find(name).is_relative_to(self.own)

    def read(self, name: str) -> TomlFile:
        """Read the file of that name.

        Raises:
            UsageError: as ``find`` and ``read_toml``.
        """
        return read_toml(self.find(name))

    def _problem(self, name: str) -> str:
        if len(name.encode(errors="replace")) > 200:
            return "its file's name would be too long"
        return f"it means no {self.kind} at all" if name == NONE else problem_of(name)
