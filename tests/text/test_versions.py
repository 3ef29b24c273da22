"""The version of a tokenizer is read from its content; contradictions, stand-ins and unknown versions are refused."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from tokenizer_makers import OFFICIAL, VERSIONS, copy_as, special_tokens, write_tekken

from mistral_cli.contract import Message
from mistral_cli.errors import CheckpointError, UsageError
from mistral_cli.text.template import encode_chat
from mistral_cli.text.tokenizer import check_vocabulary, load_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

QUESTION = (Message(role="user", content="hi"),)


def write_json(path: Path, data: object) -> None:
    path.write_text(json.dumps(data), encoding="utf-8")


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_is_known_by_its_official_file(version: str, tokenizer_file: Callable[[str], Path]) -> None:
    tokenizer = load_tokenizer(tokenizer_file(version))
    assert tokenizer.version == version
    assert tokenizer.found_by
    assert not tokenizer.is_base
    assert tokenizer.notice == ""


@pytest.mark.parametrize(("version", "size"), [("v1", 32_000), ("v3", 32_768), ("v7", 32_768), ("v3-tekken", 131_072)])
def test_the_size_of_the_vocabulary_is_the_published_one(
    version: str, size: int, tokenizer_file: Callable[[str], Path]
) -> None:
    assert load_tokenizer(tokenizer_file(version)).vocab_size == size


@pytest.mark.parametrize(("content", "version"), [("v1", "v1"), ("v2", "v3"), ("v3", "v3"), ("v7", "v7")])
def test_a_bare_name_is_no_reason_to_believe_it_is_v1(content: str, version: str, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(copy_as(content, tmp_path / "tokenizer.model"))
    assert tokenizer.version == version
    assert encode_chat(tokenizer, QUESTION).ids == encode_chat(load_tokenizer(OFFICIAL[version]), QUESTION).ids


def test_a_bare_v3_file_writes_inst_as_a_control_token(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(copy_as("v3", tmp_path / "tokenizer.model"))
    ids = encode_chat(tokenizer, QUESTION).ids
    assert [tokenizer.piece(token) for token in (ids[1], ids[-1])] == ["[INST]", "[/INST]"]


@pytest.mark.parametrize(("content", "name"), [("v3", "v2"), ("v2", "v3")])
def test_only_the_suffix_tells_v2_from_v3(content: str, name: str, tmp_path: Path) -> None:
    assert load_tokenizer(copy_as(content, tmp_path / f"tokenizer.model.{name}")).version == name


@pytest.mark.parametrize(
    ("content", "suffix"),
    [
        ("v1", "v3"),
        ("v1", "v2"),
        ("v1", "v7"),
        ("v3", "v1"),
        ("v3", "v7"),
        ("v7", "v3"),
        ("v7", "v1"),
        ("v3", "v11"),
        ("v7", "v15"),
    ],
)
def test_a_name_that_contradicts_the_content_is_refused(content: str, suffix: str, tmp_path: Path) -> None:
    path = copy_as(content, tmp_path / f"tokenizer.model.{suffix}")
    with pytest.raises(CheckpointError, match=f"is named {suffix}, but its content is v"):
        load_tokenizer(path)


def test_a_multimodal_suffix_is_the_same_version(tmp_path: Path) -> None:
    assert load_tokenizer(copy_as("v7", tmp_path / "tokenizer.model.v7m1")).version == "v7"


@pytest.mark.parametrize("version", ["v15", "v99", None])
def test_a_later_tekken_version_is_refused_by_name(version: Any, tmp_path: Path) -> None:
    path = write_tekken(tmp_path / "tekken.json", version, special_tokens("[ARGS]", "[CALL_ID]"))
    with pytest.raises(CheckpointError, match=str(version)):
        load_tokenizer(path)


def test_a_tekken_file_without_the_control_tokens_of_its_version_is_refused(tmp_path: Path) -> None:
    path = write_tekken(tmp_path / "tekken.json", "v11", special_tokens())
    with pytest.raises(CheckpointError, match=r"says version v11, but \[ARGS\] is not one of its control pieces"):
        load_tokenizer(path)


def test_a_tekken_file_of_v11_without_special_tokens_is_refused(tmp_path: Path) -> None:
    path = write_tekken(tmp_path / "tekken.json", "v11", None)
    with pytest.raises(CheckpointError, match="Special tokens not found"):
        load_tokenizer(path)


# -- broken files ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 587583\n", "git-LFS pointer"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"  <html>", "a web page"),
        (b"", "is empty"),
        (b"garbage", "not a sentencepiece tokenizer"),
    ],
)
def test_what_is_no_tokenizer_is_refused_for_what_it_is(content: bytes, says: str, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes(content)
    with pytest.raises(CheckpointError, match=says):
        load_tokenizer(tmp_path)


def test_a_truncated_sentencepiece_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.model.v3"
    path.write_bytes(OFFICIAL["v3"].read_bytes()[:100_000])
    with pytest.raises(CheckpointError, match=r"not a sentencepiece tokenizer"):
        load_tokenizer(path)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"config": {}}', '{"config": {"version": "v3"}, "vocab": []}'])
def test_a_tekken_file_that_is_none_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "tekken.json").write_text(content)
    with pytest.raises(CheckpointError, match="tekken"):
        load_tokenizer(tmp_path)


def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="has no tokenizer"):
        load_tokenizer(tmp_path)


def test_a_dangling_link_is_refused_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="gone"):
        load_tokenizer(tmp_path / "gone.model.v3")


@pytest.mark.parametrize(("content", "says"), [("{oops", "is not valid JSON"), ("[]", "is JSON, but not an object")])
def test_a_tokenizer_config_that_is_none_is_refused(content: str, says: str, tmp_path: Path) -> None:
    copy_as("v3", tmp_path / "tokenizer.model")
    (tmp_path / "tokenizer_config.json").write_text(content)
    with pytest.raises(CheckpointError, match=f"tokenizer_config.json {says}"):
        load_tokenizer(tmp_path)


def test_a_tokenizer_larger_than_the_embedding_is_refused_with_both_numbers() -> None:
    tokenizer = load_tokenizer(OFFICIAL["v3"])
    with pytest.raises(CheckpointError, match=r"32,768 pieces.*32,000"):
        check_vocabulary(tokenizer, 32_000)
    check_vocabulary(tokenizer, 32_768)
    check_vocabulary(tokenizer, 33_000)


# -- folders -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "version"),
    [
        ({"tokenizer.model": "v3", "tokenizer.model.v3": "v3", "tekken.json": "v3-tekken"}, "v3-tekken"),
        ({"tokenizer.model": "v1", "tokenizer.model.v3": "v3"}, "v3"),
        ({"tokenizer.model.v3": "v3", "tokenizer.model.v7": "v7"}, "v7"),
        ({"tokenizer.model": "v1"}, "v1"),
        ({"mistral_instruct_tokenizer_240216.model.v2": "v2", "tokenizer.model": "v1"}, "v1"),
        ({"mistral_instruct_tokenizer_240216.model.v2": "v2"}, "v2"),
    ],
)
def test_of_several_files_the_newest_kind_is_used(files: dict[str, str], version: str, tmp_path: Path) -> None:
    for name, content in files.items():
        copy_as(content, tmp_path / name)
    assert load_tokenizer(tmp_path).version == version


@pytest.mark.parametrize("named", ["v3", "mistral-common:v3"])
def test_a_config_may_name_a_tokenizer_that_mistral_common_carries(named: str, tmp_path: Path) -> None:
    write_json(tmp_path / "config.json", {"mistral_cli_tokenizer": named})
    tokenizer = load_tokenizer(tmp_path)
    assert (tokenizer.version, tokenizer.path) == ("v3", OFFICIAL["v3"])


def test_a_config_that_names_an_unknown_tokenizer_is_refused(tmp_path: Path) -> None:
    write_json(tmp_path / "config.json", {"mistral_cli_tokenizer": "v99"})
    with pytest.raises(CheckpointError, match="no tokenizer of version 'v99'"):
        load_tokenizer(tmp_path)


# -- base models and other formats -------------------------------------------------------------------------------------


def test_a_tokenizer_config_without_a_template_makes_a_base_model(tmp_path: Path) -> None:
    copy_as("v1", tmp_path / "tokenizer.model")
    write_json(tmp_path / "tokenizer_config.json", {"bos_token": "<s>"})
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer.is_base
    assert "base model" in tokenizer.notice
    with pytest.raises(UsageError, match="base model"):
        encode_chat(tokenizer, QUESTION)


def test_mistrals_own_template_is_no_foreign_format(tmp_path: Path) -> None:
    copy_as("v3", tmp_path / "tokenizer.model")
    write_json(tmp_path / "tokenizer_config.json", {"chat_template": "{{ bos_token }}[INST] {{ messages }} [/INST]"})
    tokenizer = load_tokenizer(tmp_path)
    assert (tokenizer.version, tokenizer.is_base, tokenizer.notice) == ("v3", False, "")


@pytest.mark.parametrize("place", ["chat_template.jinja", "chat_template.json"])
def test_a_template_in_a_file_of_its_own_is_found(place: str, tmp_path: Path) -> None:
    copy_as("v3", tmp_path / "tokenizer.model")
    write_json(tmp_path / "tokenizer_config.json", {})
    template = "[INST] {{ messages[0].content }} [/INST]"
    (tmp_path / place).write_text(template if place.endswith("jinja") else json.dumps({"chat_template": template}))
    assert not load_tokenizer(tmp_path).is_base


def test_the_template_flag_overrides_a_base_model(tmp_path: Path) -> None:
    copy_as("v3", tmp_path / "tokenizer.model")
    write_json(tmp_path / "tokenizer_config.json", {})
    tokenizer = load_tokenizer(tmp_path, template="v2")
    assert (tokenizer.version, tokenizer.is_base, tokenizer.found_by) == ("v2", False, "--chat-template v2")
    assert encode_chat(tokenizer, QUESTION).ids == encode_chat(load_tokenizer(OFFICIAL["v2"]), QUESTION).ids


@pytest.mark.parametrize(
    ("content", "asked"), [("v3", "v1"), ("v1", "v3"), ("v3", "v7"), ("v3", "v3-tekken"), ("v3-tekken", "v11")]
)
def test_a_template_that_the_tokenizer_cannot_write_is_refused(content: str, asked: str) -> None:
    with pytest.raises(UsageError, match=f"--chat-template {asked} does not fit"):
        load_tokenizer(OFFICIAL[content], template=asked)


def test_an_unknown_template_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="v99") as caught:
        load_tokenizer(OFFICIAL["v3"], template="v99")
    assert "v3-tekken" in caught.value.hint


def test_a_tekken_file_can_be_asked_to_write_another_version(load: Callable[[str], Any]) -> None:
    tokenizer = load_tokenizer(OFFICIAL["v3-tekken"], template="v7-tekken")
    messages = (Message(role="system", content="Be kind."), *QUESTION)
    assert encode_chat(tokenizer, messages).ids == encode_chat(load("v7-tekken"), messages).ids


def test_a_sentencepiece_file_that_is_not_mistrals_is_refused(tmp_path: Path) -> None:
    shutil.copyfile(train_sentencepiece(tmp_path), tmp_path / "tokenizer.model")
    with pytest.raises(CheckpointError, match="not one of Mistral's"):
        load_tokenizer(tmp_path / "tokenizer.model")


def train_sentencepiece(folder: Path) -> Path:
    import sentencepiece

    corpus = folder / "corpus.txt"
    corpus.write_text("the quick brown fox jumps over the lazy dog\n" * 20)
    sentencepiece.SentencePieceTrainer.train(
        input=str(corpus), model_prefix=str(folder / "other"), vocab_size=287, byte_fallback=True, minloglevel=2
    )
    return folder / "other.model"
