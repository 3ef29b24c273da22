"""Where our own files live, and how they are made for the user alone. Knows nothing of what is in them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PREFIX: Final = "MISTRAL_CLI_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The folders of our own files. None need exist."""

    config: Path
    data: Path
    state: Path
    cache: Path


def places(environ: Mapping[str, str] = os.environ) -> Places:
    """Return the XDG folders, or ``MISTRAL_CLI_HOME`` (the cache in a folder of it)."""
    if home := environ.get(PREFIX + "HOME"):
        root = Path(home).expanduser().absolute()
        return Places(config=root, data=root, state=root, cache=root / "cache")
    import platformdirs  # noqa: PLC0415 (not needed by --help)

    name = "mistral-cli"
    return Places(
        config=platformdirs.user_config_path(name, appauthor=False),
        data=platformdirs.user_data_path(name, appauthor=False),
        state=platformdirs.user_state_path(name, appauthor=False),
        cache=platformdirs.user_cache_path(name, appauthor=False),
    )


def missing_folders(path: Path) -> Iterator[Path]:
    """Yield ``path`` and its parents that do not exist, the highest first."""
    if not path.exists():
        yield from missing_folders(path.parent)
        yield path


def private_folder(path: Path) -> Path:
    """Create ``path`` and its missing parents for the user alone (0700); return it."""
    for folder in missing_folders(path):
        folder.mkdir(mode=0o700, exist_ok=True)
    return path


def open_private(path: Path, flags: int) -> int:
    """Open one of our own files, created for the user alone (0600); return its descriptor."""
    private_folder(path.parent)
    return os.open(path, flags | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
