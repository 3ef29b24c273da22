"""What a cache of eight bits costs: the built-in guide's words with one, beside those with the usual."""

from __future__ import annotations

import statistics
import tempfile
import tomllib
from pathlib import Path

import pytest
import torch

from mistral_cli.backends.native import load_native
from mistral_cli.contract import Message
from mistral_cli.measure.quant_diff import Question, answer_all, compare_all
from mistral_cli.weights.hub import builtin_path

QUESTIONS = Path(__file__).parents[2] / "tools" / "builtin_model" / "eval_questions.toml"


@pytest.mark.parametrize("quantize", ["none", "nf4"])
def test_keys_and_values_in_eight_bits_change_next_to_nothing(quantize: str) -> None:
    backend = load_native(builtin_path(), name="builtin", device="cpu", quantize=quantize)
    model, eos = backend.engine.model, backend.tokenizer.eos_id
    texts = [row["text"] for row in tomllib.loads(QUESTIONS.read_text())["question"]][::16]
    questions = [Question(ids=backend.encode((Message(role="user", content=text),)), whole=False) for text in texts]
    with tempfile.TemporaryFile() as logits, torch.inference_mode():
        cases = answer_all(model, questions, eos_ids=[eos], tokens=30, logits=logits, notify=lambda _done, _all: None)
        model.kv = "int8"
        found = list(compare_all(model, cases, logits))
    positions = sum(case.positions for case in found)
    assert positions > 300
    assert 0 < statistics.fmean([case.kl for case in found], [case.positions for case in found]) < 1e-3
    assert statistics.fmean([case.agreement for case in found], [case.positions for case in found]) > 0.99
