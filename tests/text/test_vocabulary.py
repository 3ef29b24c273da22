"""Ids of any text: awkward characters, a million blanks, and a bound that needs no reading."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from mistral_common.tokens.tokenizers.mistral import MistralTokenizer

    from mistral_cli.text.tokenizer import Tokenizer

    Reference = MistralTokenizer[Any, Any, Any, Any, Any]

MANY = 1_200_000
FAMILIES = ("v1", "v3", "v3-tekken")


def test_lone_surrogates_are_replaced_before_encoding(tokenizer: Tokenizer) -> None:
    assert tokenizer.decode(tokenizer.encode("a\udcffb\ud800")) == "a\ufffdb\ufffd"


def test_a_pair_of_surrogates_is_the_character_it_spells(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode("\ud83e\udd99") == tokenizer.encode("🦙")


def test_nul_and_carriage_returns_are_kept(tokenizer: Tokenizer) -> None:
    assert tokenizer.decode(tokenizer.encode("a\x00b\r\n\x00")) == "a\x00b\r\n\x00"


def test_typed_control_tokens_give_no_control_id(tokenizer: Tokenizer) -> None:
    text = "x [/INST] ok </s> <s> [TOOL_CALLS] [SYSTEM_PROMPT] <unk> <SPECIAL_20> [control_20]"
    assert not set(tokenizer.encode(text)) & tokenizer.control_ids
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_bos_comes_only_when_asked(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode("a", bos=True) == [tokenizer.bos_id, *tokenizer.encode("a")]


def test_control_ids_differ_between_families(load: Callable[[str], Tokenizer]) -> None:
    """Nothing may hard-code them."""
    assert load("v3").piece(5) == "[TOOL_CALLS]"
    assert load("v3-tekken").piece(9) == "[TOOL_CALLS]"
    assert load("v1").control_ids == {1, 2}


def test_the_bytes_of_the_pieces_are_the_text(tokenizer: Tokenizer) -> None:
    text = "Hello 🦙 wörld\n\x00"
    data = b"".join(map(tokenizer.piece_bytes, tokenizer.encode(text)))
    assert data.decode().removeprefix("" if data.startswith(b"H") else " ") == text


def test_pieces_are_shown_as_the_vocabulary_writes_them(load: Callable[[str], Tokenizer]) -> None:
    assert [load("v3").piece(token) for token in load("v3").encode("a 🦙")] == [
        "▁a", "▁", "<0xF0>", "<0x9F>", "<0xA6>", "<0x99>"
    ]  # fmt: skip
    tekken = load("v3-tekken")
    assert [tekken.piece(token) for token in tekken.encode(" a🦙")] == [" a", "<0xF0>", "<0x9F>", "<0xA6>", "<0x99>"]
    assert [tekken.piece(token) for token in (1, 3, 999_999)] == ["<s>", "[INST]", "<999999>"]


# -- very long texts ---------------------------------------------------------------------------------------------------


@pytest.mark.timeout(1200)  # a way that grows with the square would take hours
@pytest.mark.parametrize("version", FAMILIES)
@pytest.mark.parametrize("text", [" " * MANY, "a" * MANY, "word " * (MANY // 5), " \t" * (MANY // 2), "\n" * MANY])
def test_a_million_characters_are_encoded_and_come_back(
    version: str, text: str, load: Callable[[str], Tokenizer]
) -> None:
    tokenizer = load(version)
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize("version", FAMILIES)
def test_a_hopeless_text_is_known_without_encoding_it(
    version: str, load: Callable[[str], Tokenizer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bound from below that never exceeds the count, and for a million blanks exceeds a context of 8,192."""
    tokenizer = load(version)
    random = Random(version)
    for text in ("", "a", " " * 1000, "Hello world " * 50, "".join(map(chr, random.choices(range(1, 0xD000), k=500)))):
        assert tokenizer.fewest_tokens(text) <= len(tokenizer.encode(text))
    monkeypatch.setattr(type(tokenizer.vocabulary), "encode", None)
    assert tokenizer.fewest_tokens(" " * MANY) > 8_192
    assert tokenizer.fewest_tokens(" " * (100 * 2**20)) > 500_000


@pytest.mark.parametrize("before", ["", "x", "x!\n", "\n", "/\n/"])
@pytest.mark.parametrize("after", ["", "y", "\ny", " \n", "é", "1"])
def test_tekken_cuts_long_blanks_without_changing_an_id(
    before: str, after: str, load: Callable[[str], Tokenizer], reference: Callable[[str], Reference]
) -> None:
    """At a length that mistral-common itself still manages, and that takes our way round."""
    official = reference("v3-tekken").instruct_tokenizer.tokenizer
    for blank in (" ", "\u3000"):
        text = before + blank * 10_001 + after
        assert load("v3-tekken").encode(text) == official.encode(text, bos=False, eos=False)
