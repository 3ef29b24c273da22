"""Tokenizers of every version, one loading a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tokenizer_makers import VERSIONS, make_tokenizer

from mistral_cli.text.tokenizer import Tokenizer, load_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="session")
def tokenizer_file(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the file of a version."""
    folder = tmp_path_factory.mktemp("tokenizers")
    files: dict[str, Path] = {}

    def find(version: str) -> Path:
        if version not in files:
            files[version] = make_tokenizer(version, folder)
        return files[version]

    return find


@pytest.fixture(scope="session")
def load(tokenizer_file: Callable[[str], Path]) -> Callable[[str], Tokenizer]:
    """Return the tokenizer of a version."""
    loaded: dict[str, Tokenizer] = {}

    def find(version: str) -> Tokenizer:
        if version not in loaded:
            loaded[version] = load_tokenizer(tokenizer_file(version))
        return loaded[version]

    return find


@pytest.fixture(scope="session", params=VERSIONS)
def tokenizer(request: pytest.FixtureRequest, load: Callable[[str], Tokenizer]) -> Tokenizer:
    """Every version in turn."""
    return load(request.param)
