"""Adapters on a loaded model: quantized or not, what is cached without them is not reused with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lora_files import write_adapter
from mistral_cli.backends.native_adapters import NativeAdapters
from mistral_cli.contract import SamplingParams, TokenDrawn
from mistral_cli.engine import plan
from mistral_cli.engine.generate import NativeEngine
from mistral_cli.errors import CheckpointError, OutOfMemoryError
from oracle import SHAPES, models

if TYPE_CHECKING:
    from pathlib import Path

PROMPT = list(range(5, 25))


def answer(engine: NativeEngine) -> list[int]:
    events = engine.generate(PROMPT, SamplingParams(temperature=0, max_tokens=12))
    return [event.id for event in events if isinstance(event, TokenDrawn)]


@pytest.fixture
def engine() -> NativeEngine:
    return NativeEngine(models(SHAPES["mistral"])[0], context=64, eos_ids={2})


def test_an_answer_after_a_swap_is_that_of_a_model_that_never_knew_another(
    engine: NativeEngine, tmp_path: Path
) -> None:
    folder, bare = write_adapter(tmp_path / "adapter", SHAPES["mistral"]), answer(engine)
    adapters = NativeAdapters(engine)
    adapters.load(folder)
    fresh = NativeEngine(models(SHAPES["mistral"])[0], context=64, eos_ids={2})
    NativeAdapters(fresh).load(folder)
    adapted = answer(engine)
    assert adapted == answer(fresh) != bare
    adapters.scale("adapter", 0)
    assert answer(engine) == bare
    adapters.scale("adapter", 1)
    adapters.off()
    assert answer(engine) == bare


def test_an_adapter_tells_what_it_is(engine: NativeEngine, tmp_path: Path) -> None:
    adapters = NativeAdapters(engine)
    info = adapters.load(write_adapter(tmp_path / "adapter", SHAPES["mistral"]), 0.5, name="mine")
    assert adapters.attached == (info,)
    assert (info.name, info.strength, info.rank, info.path) == ("mine", 0.5, 4, str(tmp_path / "adapter"))


def test_one_that_cannot_be_loaded_leaves_the_others(engine: NativeEngine, tmp_path: Path) -> None:
    adapters = NativeAdapters(engine)
    adapters.load(write_adapter(tmp_path / "adapter", SHAPES["mistral"]))
    before = answer(engine)
    with pytest.raises(CheckpointError):
        adapters.load(write_adapter(tmp_path / "other", SHAPES["nemo-like"]), name="adapter")
    assert [one.name for one in adapters.attached] == ["adapter"]
    assert answer(engine) == before


def test_one_for_which_there_is_no_room_is_refused_with_both_numbers(
    engine: NativeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter, adapters = write_adapter(tmp_path / "adapter", SHAPES["mistral"]), NativeAdapters(engine)
    monkeypatch.setattr(plan, "host_free", lambda: 100)
    with pytest.raises(OutOfMemoryError, match=r"needs [\d,]+ bytes, but 100 are free"):
        adapters.load(adapter)
    assert adapters.attached == ()
