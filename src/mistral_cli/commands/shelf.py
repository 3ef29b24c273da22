"""What ``mistral roles`` and ``mistral templates`` share: list files of one kind, show one, say where they lie."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mistral_cli.errors import UsageError
from mistral_cli.settings.shelf import Shelf
from mistral_cli.ui.console import Console

ACTIONS: Final = ("list", "show", "path")


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was asked for."""

    shelf: Shelf
    console: Console
    name: str | None
    as_object: bool
    read: Callable[[str], Mapping[str, Any]]
    """Reads the file of a name, checks it, and returns what it says."""

    def do(self, action: str) -> None:
        """Do what was asked.

        Raises:
            UsageError: a name where none may stand, or none where one has to; no such file, or one that is wrong.
        """
        if action == "list" and self.name is not None:
            raise UsageError(f"`mistral {self.shelf.folder} list` takes no name.", "`show` does.")
        if action == "show" and self.name is None:
            raise UsageError(f"`mistral {self.shelf.folder} show` needs a name.", self._all())
        {"list": self._list, "show": self._show, "path": self._path}[action]()

    def _all(self) -> str:
        return f"There are: {', '.join(self.shelf.names())}."

    def _list(self) -> None:
        rows = [self._row(name) for name in self.shelf.names()]
        if self.as_object:
            self.console.json({"folder": str(self.shelf.own), self.shelf.folder: rows})
            return
        width = max((len(row["name"]) for row in rows), default=0)
        for row in rows:
            mine = "" if row["is_own"] else " (built in)"
            self.console.line(f"{row['name']:{width}}  {row['description']}{mine}".rstrip())
        self.console.notice(f"Yours are TOML files in {self.shelf.own}")

    def _row(self, name: str) -> dict[str, Any]:
        """Return what the list says of a file; one that is wrong is warned of and listed all the same."""
        try:
            description = self.read(name)["description"]
        except UsageError as error:
            self.console.warning(str(error))
            description = ""
        file, is_own = self.shelf.find(name), self.shelf.is_own(name)
        return {"name": name, "description": description, "file": str(file), "is_own": is_own}

    def _show(self) -> None:
        """Show a file as it is, so that it may be the beginning of another; what is wrong with it is said after it."""
        name = self.name or ""
        file = self.shelf.read(name)
        if not self.as_object:
            self.console.line(file.text.rstrip("\n"))
        said = self.read(name)
        if self.as_object:
            self.console.json({"name": name, "file": str(file.path), **said})

    def _path(self) -> None:
        path = str(self.shelf.own if self.name is None else self.shelf.find(self.name))
        if self.as_object:
            self.console.json({"path": path})
        else:
            self.console.line(path)
