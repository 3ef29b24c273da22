"""TOML files that people write, and the line of each key, which tomllib does not tell. Knows no option."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mistral_cli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LONG_TEXT: Final = re.compile(r'"""(?:[^\\]|\\.)*?"""|\'\'\'.*?\'\'\'', re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class TomlFile:
    """What one file holds."""

    path: Path
    text: str
    table: Mapping[str, object]

    def origin(self, key: str) -> str:
        """Return where ``key`` is set, as a person looks for it: ``…/config.toml:3: top_p``."""
        return f"{self.path}:{self._line_of(key)}: {key}"

    def _line_of(self, key: str) -> int:
        # a line of a long text may look like a key
        text = _LONG_TEXT.sub(lambda found: '""' + "\n" * found[0].count("\n"), self.text)
        found = re.search(rf"""^[ \t]*\[*[ \t]*["']?{re.escape(key)}["']?[ \t]*[=.\]]""", text, re.MULTILINE)
        return text.count("\n", 0, found.start()) + 1 if found else 1


def read_toml(path: Path) -> TomlFile:
    """Read a file.

    Raises:
        FileNotFoundError: it is not there.
        UsageError: it cannot be read, or is not TOML; the message names the line.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
        return TomlFile(path=path, text=text, table=tomllib.loads(text))
    except FileNotFoundError:
        raise
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        where = line[1] if line else str(text.count("\n") + 1)
        raise UsageError(f"{path}:{where}: not TOML: {error}.") from None
    except (OSError, ValueError, RecursionError) as error:  # not UTF-8, a number without an end, lists within lists
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise UsageError(f"{path} cannot be read: {reason}.") from None
