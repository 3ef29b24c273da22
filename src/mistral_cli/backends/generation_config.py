"""What a model's own ``generation_config.json`` says: sampling defaults and the ids that end an answer.

Reads two small JSON files; loads nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mistral_cli.contract import SamplingParams
from mistral_cli.errors import CheckpointError, UsageError
from mistral_cli.weights.json_file import read_object

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SAMPLING = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")
"""The parameters that are taken over; they have the same names and meanings in transformers."""

FILE, CONFIG = "generation_config.json", "config.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationConfig:
    """The model's own defaults."""

    sampling: Mapping[str, float]
    """Fields of ``SamplingParams``."""
    eos_ids: frozenset[int]
    """Ids that end an answer; empty where the files name none."""


def read_generation_config(folder: Path) -> GenerationConfig:
    """Read what ``folder`` says; a file that is not there says nothing.

    Raises:
        CheckpointError: damaged JSON, or a value that no parameter can have.
    """
    own, config = _read(folder / FILE), _read(folder / CONFIG)
    eos = own.get("eos_token_id")
    source = FILE if eos is not None else CONFIG
    eos = config.get("eos_token_id") if eos is None else eos
    return GenerationConfig(sampling=_sampling(own, folder), eos_ids=_ids(eos, folder / source))


def _read(path: Path) -> dict[str, object]:
    return read_object(path) if path.exists() or path.is_symlink() else {}


def _sampling(values: Mapping[str, object], folder: Path) -> dict[str, float]:
    found: dict[str, float] = {}
    for name in SAMPLING:
        value = values.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _wrong(folder / FILE, f"{name} is {value!r:.40}, but must be a number")
        found[name] = value
    try:
        SamplingParams().with_values(found)
    except UsageError as error:
        raise _wrong(folder / FILE, error.message.removesuffix(".")) from error
    return found


def _ids(value: object, path: Path) -> frozenset[int]:
    ids = value if isinstance(value, list) else [] if value is None else [value]
    for id_ in ids:
        if isinstance(id_, bool) or not isinstance(id_, int) or id_ < 0:
            raise _wrong(path, f"eos_token_id is {value!r:.40}, but must be a token id or a list of them")
    return frozenset(ids)


def _wrong(path: Path, what: str) -> CheckpointError:
    return CheckpointError(f"{path} makes no sense: {what}.", "Fetch the model again, or mend the file.")
