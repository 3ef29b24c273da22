"""A tokenizer file of every version: those that mistral-common carries, and the three that it does not, made of one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mistral_cli.text.tokenizer import load_tokenizer
from mistral_cli.text.tokenizer_files import carried_file

if TYPE_CHECKING:
    from pathlib import Path

    from mistral_cli.text.tokenizer import Tokenizer

CARRIED = ("v1", "v2", "v3", "v3-tekken", "v7")
MADE = {"v7-tekken": "v7", "v11": "v11", "v13": "v13"}
"""Version -> what its file says of itself."""
EVERY_VERSION = (*CARRIED, *MADE)


def make_tokenizer(folder: Path, version: str) -> Tokenizer:
    """Load a tokenizer of ``version``; where there is no official file it is written into ``folder`` first."""
    if version in CARRIED:
        return load_tokenizer(carried_file(version))
    return load_tokenizer(_write_tekken(folder, MADE[version]))


def _write_tekken(folder: Path, said: str) -> Path:
    """Write the newest official tekken file as if it were of another version, with that version's control tokens."""
    from mistral_common.tokens.tokenizers.tekken import Tekkenizer

    content = json.loads((carried_file("v3-tekken").parent / "tekken_240911.json").read_bytes())
    names = [token["token_str"] for token in Tekkenizer.DEPRECATED_SPECIAL_TOKENS]
    names += [f"<SPECIAL_{rank}>" for rank in range(len(names), 32)] + ["[ARGS]", "[CALL_ID]"]
    content["config"]["version"] = said
    content.pop("image", None)
    content["special_tokens"] = [
        {"rank": rank, "token_str": name, "is_control": True} for rank, name in enumerate(names)
    ]
    path = folder / "tekken.json"
    path.write_text(json.dumps(content))
    return path
