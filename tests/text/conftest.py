"""Tokenizers of every version, one loading a worker."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from mistral_common.tokens.tokenizers.mistral import MistralTokenizer
from tokenizer_makers import VERSIONS, make_tokenizer

from mistral_cli.text.tokenizer import Tokenizer, load_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="session")
def tokenizer_file(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the file of a version."""
    folder = tmp_path_factory.mktemp("tokenizers")
    return cache(lambda version: make_tokenizer(version, folder))


@pytest.fixture(scope="session")
def load(tokenizer_file: Callable[[str], Path]) -> Callable[[str], Tokenizer]:
    """Return the tokenizer of a version."""
    return cache(lambda version: load_tokenizer(tokenizer_file(version)))


@pytest.fixture(scope="session")
def reference(tokenizer_file: Callable[[str], Path]) -> Callable[[str], MistralTokenizer[Any, Any, Any, Any, Any]]:
    """Return mistral-common's own tokenizer of a version, loaded by itself."""
    return cache(lambda version: MistralTokenizer.from_file(tokenizer_file(version)))


@pytest.fixture(scope="session", params=VERSIONS)
def tokenizer(request: pytest.FixtureRequest, load: Callable[[str], Tokenizer]) -> Tokenizer:
    """Every version in turn."""
    return load(request.param)
