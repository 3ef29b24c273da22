"""What each quantization costs: the mean KL divergence from bfloat16 on the built-in model, which everybody has."""

from __future__ import annotations

import copy
import functools
import io
from typing import TYPE_CHECKING

import pytest

from mistral_cli.backends.native import NativeBackend, load_native
from mistral_cli.contract import Message
from mistral_cli.measure.quant_diff import Question, answer_all, compare_all
from mistral_cli.weights import bitsandbytes_library
from mistral_cli.weights.hub import builtin_path
from mistral_cli.weights.methods import METHODS
from mistral_cli.weights.quantize import quantize

if TYPE_CHECKING:
    from mistral_cli.model.transformer import Mistral

QUESTIONS = ("What is a KV cache?", "How do I set a system prompt?", "What is LoRA?", "How do I leave the chat?")
TEXT = """Run a Mistral model from a terminal: a conversation, one answer, or one answer for each line of a file. The
first command answers before anything was downloaded, because a small model is built in. Checkpoints are read from
safetensors files alone; a damaged shard does not load, and the error says which file it is and what to do about it.
The cache of a conversation is kept between turns, so that only what is new has to be read. Weights may be held in four
bits instead of sixteen, which takes a quarter of the memory and reads three times as fast from it.
"""
LAYOUTS = {method.layout: method for method in METHODS if "cpu" in method.devices}


@functools.cache
def guide() -> NativeBackend:
    return load_native(builtin_path(), name="builtin", device="cpu", quantize="none")


@functools.cache
def loss(layout: str) -> tuple[float, float]:
    """Return the mean KL on the guide's own answers, and on a text that it finds hard."""
    model = copy.deepcopy(guide().engine.model)
    assert len(quantize(model, LAYOUTS[layout])) == 4 * 7
    asked = [Question(ids=guide().encode([Message(role="user", content=text)]), whole=False) for text in QUESTIONS]
    return _mean(model, asked), _mean(model, [Question(ids=guide().encode(TEXT), whole=True)])


def _mean(model: Mistral, questions: list[Question]) -> float:
    logits = io.BytesIO()
    reference, eos = guide().engine.model, [guide().tokenizer.eos_id]
    cases = answer_all(reference, questions, eos_ids=eos, tokens=40, logits=logits, notify=lambda *_: None)
    found = list(compare_all(model, cases, logits))
    return sum(one.kl * one.positions for one in found) / sum(one.positions for one in found)


def test_our_nf4_loses_no_more_than_that_of_bitsandbytes() -> None:
    ours, theirs = loss("nf4-kernel-2"), loss("nf4-bitsandbytes-1")
    assert ours[0] <= 1.2 * theirs[0]
    assert ours[1] <= 1.2 * theirs[1]


@pytest.mark.parametrize(
    ("layout", "most"),
    [
        ("nf4-kernel-2", 0.1),
        ("nf4-bitsandbytes-tiles-1", 0.1),
        ("nf4-bitsandbytes-1", 0.1),
        ("int8-torch-1", 2e-3),
        ("int4-kernel-1", 0.12),
        ("int4-torch-cpu-1", 0.12),
    ],
)
def test_no_quantization_loses_more_than_was_measured(layout: str, most: float) -> None:
    if layout == "nf4-bitsandbytes-tiles-1" and not bitsandbytes_library.has_tiles():
        layout = "nf4-bitsandbytes-1"  # this processor cannot compute it
    assert 0 < loss(layout)[0] < 1e-3
    assert loss(layout)[0] < loss(layout)[1] < most


def test_the_even_and_the_uneven_four_bits_of_torch_are_as_good_as_ours() -> None:
    assert loss("int4-torch-cpu-1")[1] <= 1.2 * loss("int4-kernel-1")[1]
    assert loss("nf4-bitsandbytes-tiles-1" if bitsandbytes_library.has_tiles() else "nf4-bitsandbytes-1")[1] <= (
        1.2 * loss("nf4-kernel-2")[1]
    )
