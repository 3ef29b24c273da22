"""Data sets at the hub, fetched by the library ``datasets`` from a stand-in: once, and nothing large unasked."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from pyarrow import parquet

from hub.hub_client import mistral
from hub.stand_in_hub import Repo, StandInHub

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "Helsinki-NLP/opus_books"
ASK = ("data", "check", NAME, "--subset", "en-fr", "--source", "en", "--target", "fr", "--json")
PART = "en-fr/train-00000-of-00001.parquet"
CARD = """---
configs:
- config_name: en-fr
  data_files:
  - split: train
    path: en-fr/train-*
dataset_info:
- config_name: en-fr
  download_size: {size}
---
"""


def data_set(size: int) -> Repo:
    """Return ``opus_books`` as it lies at the hub, with a card that says so many bytes."""
    pairs = [{"id": str(at), "translation": {"en": f"Hello {at}", "fr": f"Salut {at}"}} for at in range(200)]
    file = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(pairs), file)
    return Repo({"README.md": CARD.format(size=size).encode(), PART: file.getvalue()})


@pytest.fixture
def hub() -> Iterator[StandInHub]:
    with StandInHub() as hub:
        yield hub


def test_a_data_set_is_fetched_once_and_then_needs_no_hub(hub: StandInHub) -> None:
    hub.repos[f"datasets/{NAME}"] = data_set(size=5000)
    first = mistral(hub, *ASK)
    assert (first.returncode, first.stderr) == (0, "")
    assert json.loads(first.stdout)["kinds"] == {"translation": 200}
    hub.status = 500
    again = mistral(hub, *ASK)
    assert (again.returncode, again.stdout, again.stderr) == (0, first.stdout, "")
    assert len(hub.fetched(PART)) == 1


def test_a_large_one_is_not_fetched_unasked(hub: StandInHub) -> None:
    hub.repos[f"datasets/{NAME}"] = data_set(size=3 * 10**9)
    outcome = mistral(hub, *ASK)
    assert (outcome.returncode, outcome.stdout) == (3, "")
    assert f"The data set {NAME} was not downloaded. Say --yes to download it unasked." in outcome.stderr
    assert hub.fetched(PART) == []
