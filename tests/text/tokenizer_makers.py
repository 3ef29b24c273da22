"""Tokenizer files for the tests: the official ones, and those that mistral-common does not carry, built from them."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import mistral_common
from mistral_common.tokens.tokenizers.tekken import Tekkenizer

DATA = Path(mistral_common.__file__).parent / "data"
CARRIED = {
    "v1": "tokenizer.model.v1",
    "v2": "mistral_instruct_tokenizer_240216.model.v2",
    "v3": "mistral_instruct_tokenizer_240323.model.v3",
    "v3-tekken": "tekken_240718.json",
    "v7": "mistral_instruct_tokenizer_241114.model.v7",
}
VERSIONS = (*CARRIED, "v7-tekken", "v11", "v13")
OFFICIAL = {version: DATA / name for version, name in CARRIED.items()}


@cache
def _tekken_data() -> dict[str, Any]:
    data: dict[str, Any] = json.loads((DATA / "tekken_240911.json").read_text(encoding="utf-8"))
    data.pop("image")
    data["vocab"] = data["vocab"][: data["config"]["default_vocab_size"] - data["config"]["default_num_special_tokens"]]
    return data


def special_tokens(*more: str) -> list[dict[str, Any]]:
    """Return the control tokens of tekken, filled up to 32, and ``more`` from there."""
    tokens = [dict(token, token_str=str(token["token_str"])) for token in Tekkenizer.DEPRECATED_SPECIAL_TOKENS]
    names = [f"<SPECIAL_{rank}>" for rank in range(len(tokens), 32)] + list(more)
    return tokens + [
        {"rank": rank, "token_str": name, "is_control": True} for rank, name in enumerate(names, start=len(tokens))
    ]


def write_tekken(path: Path, version: str, specials: list[dict[str, Any]] | None) -> Path:
    """Write a tekken file of a version that mistral-common does not carry."""
    data = dict(_tekken_data(), config=dict(_tekken_data()["config"], version=version))
    if specials is not None:
        data["special_tokens"] = specials
    path.write_text(json.dumps(data, separators=(",", ":")), encoding="utf-8")
    return path


def make_tokenizer(version: str, folder: Path) -> Path:
    """Return the file of a version, written into ``folder`` where mistral-common carries none."""
    if version in OFFICIAL:
        return OFFICIAL[version]
    number = version.removesuffix("-tekken")
    calls = () if number == "v7" else ("[ARGS]", "[CALL_ID]")
    return write_tekken(folder / f"tekken_{number}.json", number, special_tokens(*calls))


def copy_as(version: str, path: Path) -> Path:
    """Copy an official file to another name."""
    shutil.copyfile(OFFICIAL[version], path)
    return path
