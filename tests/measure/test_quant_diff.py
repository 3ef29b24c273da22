"""Two models are compared where the reference answered: divergence, agreement, and where their answers part."""

from __future__ import annotations

import copy
import io

import pytest
import torch
from torch.nn import functional

from mistral_cli.contract import SamplingParams, TokenDrawn
from mistral_cli.engine.generate import NativeEngine
from mistral_cli.measure.quant_diff import Case, Difference, Question, answer_all, compare_all
from mistral_cli.model.args import ModelArgs
from mistral_cli.model.transformer import Mistral

ARGS = ModelArgs(
    dim=64, n_layers=2, head_dim=16, hidden_dim=96, n_heads=4, n_kv_heads=2, vocab_size=101, sliding_window=None
)
NEVER = 101
"""An id that the model does not have."""
PROMPTS = [torch.randint(3, 101, (size,), generator=torch.Generator().manual_seed(size)).tolist() for size in (5, 300)]


@pytest.fixture(scope="module")
def reference() -> Mistral:
    model = Mistral(ARGS, torch.Generator().manual_seed(1), dtype=torch.float64).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(15 if weight.dim() == 2 else 1)
    return model


@pytest.fixture(scope="module")
def other(reference: Mistral) -> Mistral:
    model = copy.deepcopy(reference)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(2)) * 0.05)
    return model


def compared(
    reference: Mistral, other: Mistral, *, whole: bool, tokens: int = 20
) -> tuple[list[Case], list[Difference]]:
    questions = [Question(ids=tuple(ids), whole=whole) for ids in PROMPTS]
    with io.BytesIO() as file:
        cases = answer_all(reference, questions, eos_ids=[NEVER], tokens=tokens, logits=file, notify=lambda *_: None)
        return cases, list(compare_all(other, cases, file))


def greedy(model: Mistral, prompt: list[int], tokens: int) -> list[int]:
    events = NativeEngine(model, context=512, eos_ids=[NEVER]).generate(
        prompt, SamplingParams(temperature=0, max_tokens=tokens)
    )
    return [event.id for event in events if isinstance(event, TokenDrawn)]


@pytest.mark.parametrize("whole", [True, False])
def test_a_model_is_not_different_from_itself(reference: Mistral, whole: bool) -> None:
    _, found = compared(reference, reference, whole=whole)
    for difference in found:
        assert difference.kl == pytest.approx(0, abs=1e-12)
        assert difference.agreement == 1
        assert difference.first_difference is None


@pytest.mark.parametrize("whole", [True, False])
def test_the_divergence_is_that_of_the_two_distributions(reference: Mistral, other: Mistral, whole: bool) -> None:
    cases, found = compared(reference, other, whole=whole)
    for prompt, case, difference in zip(PROMPTS, cases, found, strict=True):
        first = 0 if whole else len(prompt) - 1
        with torch.inference_mode():
            ours, theirs = (
                model(torch.tensor([case.ids]))[0][0, first:].log_softmax(-1) for model in (reference, other)
            )
        kl = functional.kl_div(theirs, ours, reduction="none", log_target=True).sum(-1)
        assert difference.positions == case.positions == len(kl)
        assert difference.kl == pytest.approx(kl.mean().item(), rel=1e-5)
        assert difference.worst_kl == pytest.approx(kl.max().item(), rel=1e-5)
        agrees = ours.argmax(-1) == theirs.argmax(-1)
        assert difference.agreement == pytest.approx(agrees.double().mean().item())


def test_the_first_difference_is_where_the_others_own_answer_leaves_the_references(
    reference: Mistral, other: Mistral
) -> None:
    cases, found = compared(reference, other, whole=False)
    numbers = []
    for prompt, case, difference in zip(PROMPTS, cases, found, strict=True):
        answer = greedy(other, prompt, 20)
        assert list(case.drawn) == greedy(reference, prompt, 20)
        parts = [number for number, (a, b) in enumerate(zip(case.drawn, answer, strict=True), 1) if a != b]
        assert difference.first_difference == (parts[0] if parts else None)
        numbers.append(difference.first_difference)
    assert any(numbers)


def test_an_answer_that_ends_is_compared_at_its_end_too(reference: Mistral, other: Mistral) -> None:
    first = greedy(reference, PROMPTS[0], 6)
    question = Question(ids=tuple(PROMPTS[0]), whole=False)
    with io.BytesIO() as file:
        cases = answer_all(reference, [question], eos_ids=[first[4]], tokens=20, logits=file, notify=lambda *_: None)
        [difference] = compare_all(reference, cases, file)
    length = first.index(first[4]) + 1
    assert cases[0].drawn == tuple(first[:length])
    assert difference.answer_tokens == difference.positions == length
    assert difference.first_difference is None
