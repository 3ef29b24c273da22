"""Which files of a model folder say how its text is written. Reads JSON and names; loads no vocabulary.

Untrusted input: everything read here is checked for its type, and a template is only text until ``foreign`` renders it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mistral_cli.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Mapping

CONVERTED = "tokenizer.json"
"""The tokenizer as transformers converts it. Its ids differ from the official file's here and there."""

_CARRIED = {
    "v1": "tokenizer.model.v1",
    "v2": "mistral_instruct_tokenizer_240216.model.v2",
    "v3": "mistral_instruct_tokenizer_240323.model.v3",
    "v3-tekken": "tekken_240718.json",
    "v7": "mistral_instruct_tokenizer_241114.model.v7",
}
_NUMBERED = re.compile(r"\.model\.v(\d+)(?:m\d+)?$")
_STAND_INS = {
    b"version https://git-lfs": "a git-LFS pointer, not the file itself",
    b"<!doctype html": "a web page, not the file itself",
    b"<html": "a web page, not the file itself",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatFiles:
    """What ``tokenizer_config.json`` and its neighbours say of the chat format."""

    is_there: bool = False
    """Whether the folder has a ``tokenizer_config.json`` at all."""
    template: str | None = None
    """The Jinja template."""
    bos_token: str = ""
    eos_token: str = ""
    adds_bos: bool | None = None
    """Whether a text begins with the BOS token; None where nothing says so."""
    added: Mapping[str, int] = field(default_factory=dict)
    """Tokens added to the vocabulary, with their ids."""

    @property
    def is_base(self) -> bool:
        """Whether the model has no chat format, only text to go on from."""
        return self.is_there and self.template is None

    @property
    def is_foreign(self) -> bool:
        """Whether the template is another format than Mistral's own, which mistral-common writes exactly."""
        return self.template is not None and ("[INST]" not in self.template or "<<SYS>>" in self.template)


def carried_file(version: str) -> Path:
    """Return the official tokenizer file that mistral-common brings along, without importing that package.

    Raises:
        CheckpointError: it brings none of that version.
    """
    spec = find_spec("mistral_common")
    if spec is None or not spec.submodule_search_locations or version not in _CARRIED:
        raise CheckpointError(f"mistral-common carries no tokenizer of version {version!r}.")
    return Path(spec.submodule_search_locations[0]) / "data" / _CARRIED[version]


def usual_name(file: Path) -> str:
    """Return the name under which a model folder has such an official tokenizer file: it tells what version it is."""
    return "tekken.json" if file.suffix == ".json" else f"tokenizer{''.join(file.suffixes[-2:])}"


def find_tokenizer_file(folder: Path) -> Path | None:
    """Return the official tokenizer file of a model folder; None if it has none.

    ``tekken.json`` before ``tokenizer.model.vN`` (the highest) before ``tokenizer.model`` before any other name of
    these kinds; and whatever ``mistral_cli_tokenizer`` in ``config.json`` names before them all.

    Raises:
        CheckpointError: the key names a version that mistral-common does not carry.
    """
    named = _read_json(folder / "config.json").get("mistral_cli_tokenizer")
    if named is not None:
        return carried_file(str(named).removeprefix("mistral-common:"))
    found = sorted(path for path in folder.iterdir() if path.is_file())
    tekken = [path for path in found if path.suffix == ".json" and "tekken" in path.name]
    pieces = [path for path in found if path.suffix == ".model" or _NUMBERED.search(path.name)]
    ranked = sorted(tekken, key=lambda path: path.name != "tekken.json") + sorted(pieces, key=_rank)
    return ranked[0] if ranked else None


def beside_model(folder: Path) -> dict[str, Path]:
    """Return the tokenizer's file by its usual name, where it does not lie in the model's folder but in a package."""
    file = find_tokenizer_file(folder)
    return {} if file is None or file.is_relative_to(folder) else {usual_name(file): file}


def read_chat_files(folder: Path) -> ChatFiles:
    """Return what a model folder says of its chat format.

    Raises:
        CheckpointError: ``tokenizer_config.json`` is not a JSON object.
    """
    path = folder / "tokenizer_config.json"
    config = _read_json(path)
    return ChatFiles(
        is_there=path.is_file(),
        template=_template(folder, config),
        bos_token=_content(config.get("bos_token")),
        eos_token=_content(config.get("eos_token")),
        adds_bos=adds if isinstance(adds := config.get("add_bos_token"), bool) else None,
        added=_added_tokens(folder, config),
    )


def refuse_stand_in(path: Path) -> None:
    """Refuse what is often found in a tokenizer's place.

    Raises:
        CheckpointError: the file is a git-LFS pointer, a web page or empty, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(64).lstrip().lower()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}.") from error
    what = next((what for begin, what in _STAND_INS.items() if head.startswith(begin)), "" if head else "empty")
    if what:
        raise CheckpointError(f"{path} is {what}.", "Download it again.")


def _rank(path: Path) -> tuple[bool, int, bool, str]:
    """Order sentencepiece files: ``tokenizer.model*`` first, then the highest version, then the bare name."""
    match = _NUMBERED.search(path.name)
    return not path.name.startswith("tokenizer.model"), -int(match.group(1)) if match else 0, match is None, path.name


def _template(folder: Path, config: Mapping[str, Any]) -> str | None:
    """Return the chat template: a file of its own, a string, or the one called ``default`` of several."""
    file = folder / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8", errors="replace")
    template = config.get("chat_template") or _read_json(folder / "chat_template.json").get("chat_template")
    if isinstance(template, list):
        named = {entry.get("name"): entry.get("template") for entry in template if isinstance(entry, dict)}
        template = named.get("default")
    return template if isinstance(template, str) else None


def _added_tokens(folder: Path, config: Mapping[str, Any]) -> dict[str, int]:
    """Return added tokens and their ids, from either of the two places that transformers writes."""
    added = {text: token for text, token in _read_json(folder / "added_tokens.json").items() if isinstance(token, int)}
    decoder = config.get("added_tokens_decoder")
    if isinstance(decoder, dict):
        added.update({_content(entry): int(token) for token, entry in decoder.items() if str(token).isdigit()})
    return {text: token for text, token in added.items() if text}


def _content(entry: object) -> str:
    """Return the text of a special token, written as a string or as an object with ``content``."""
    text = entry.get("content") if isinstance(entry, dict) else entry
    return text if isinstance(text, str) else ""


def _read_json(path: Path) -> dict[str, Any]:
    """Return a JSON object, empty where there is no such file."""
    if not path.is_file():
        return {}
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise CheckpointError(f"{path} is not valid JSON: {error}.", "Download it again.") from error
    if not isinstance(data, dict):
        raise CheckpointError(f"{path} is JSON, but not an object.", "Download it again.")
    return data
