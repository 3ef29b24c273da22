"""A model's own defaults are taken over, and nonsense in them is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from mistral_cli.backends.generation_config import read_generation_config
from mistral_cli.errors import CheckpointError

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, name: str = "generation_config.json", **values: object) -> None:
    (folder / name).write_text(json.dumps(values))


def test_sampling_values_are_taken_over_and_nothing_else(tmp_path: Path) -> None:
    write(tmp_path, temperature=0.3, top_p=0.9, top_k=40, repetition_penalty=1.1, do_sample=True, max_length=20)
    assert read_generation_config(tmp_path).sampling == {
        "temperature": 0.3,
        "top_p": 0.9,
        "top_k": 40,
        "repetition_penalty": 1.1,
    }


def test_a_null_says_nothing(tmp_path: Path) -> None:
    write(tmp_path, temperature=None, eos_token_id=None)
    config = read_generation_config(tmp_path)
    assert (config.sampling, config.eos_ids) == ({}, frozenset())


def test_a_folder_without_the_file_says_nothing(tmp_path: Path) -> None:
    config = read_generation_config(tmp_path)
    assert (config.sampling, config.eos_ids) == ({}, frozenset())


@pytest.mark.parametrize(("eos", "ids"), [(2, {2}), ([2, 7], {2, 7})])
def test_eos_may_be_one_id_or_several(tmp_path: Path, eos: object, ids: set[int]) -> None:
    write(tmp_path, eos_token_id=eos)
    assert read_generation_config(tmp_path).eos_ids == ids


def test_eos_of_the_config_counts_where_the_generation_config_names_none(tmp_path: Path) -> None:
    write(tmp_path, temperature=0.3)
    write(tmp_path, "config.json", eos_token_id=5)
    assert read_generation_config(tmp_path).eos_ids == {5}
    write(tmp_path, eos_token_id=6)
    assert read_generation_config(tmp_path).eos_ids == {6}


@pytest.mark.parametrize(
    "values",
    [
        {"temperature": -1},
        {"top_p": 2},
        {"top_k": "many"},
        {"top_p": True},
        {"eos_token_id": "</s>"},
        {"eos_token_id": [2, -1]},
        {"eos_token_id": {"id": 2}},
    ],
)
def test_a_value_that_no_parameter_can_have_is_refused_naming_the_file(
    tmp_path: Path, values: dict[str, object]
) -> None:
    write(tmp_path, **values)
    with pytest.raises(CheckpointError, match=r"generation_config\.json makes no sense") as caught:
        read_generation_config(tmp_path)
    assert next(iter(values)).replace("_", "-") in caught.value.message.replace("_", "-")


def test_damaged_json_is_refused_naming_the_file(tmp_path: Path) -> None:
    (tmp_path / "generation_config.json").write_text('{"temperature": ')
    with pytest.raises(CheckpointError, match=r"generation_config\.json"):
        read_generation_config(tmp_path)
