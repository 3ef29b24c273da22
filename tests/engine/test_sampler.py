"""The sampler against numbers worked out by hand and against transformers' own processors."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
import torch

from mistral_cli.contract import SamplingParams
from mistral_cli.engine.sampler import HEAD, Seen, distribution, draw, keep_top_p, next_id

PLAIN = SamplingParams(temperature=1, top_p=1)
FIVE = torch.tensor([0.5, 0.25, 0.15, 0.07, 0.03], dtype=torch.float64).log()
"""Logits of five tokens whose probabilities are known."""


def params(**values: object) -> SamplingParams:
    return PLAIN.with_values(values)


def survivors(probabilities: torch.Tensor) -> list[int]:
    return probabilities.nonzero().flatten().tolist()


def random_logits(size: int, seed: int = 0) -> torch.Tensor:
    return 4 * torch.randn(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_without_filters_the_distribution_is_the_softmax() -> None:
    logits = random_logits(50)
    assert torch.equal(distribution(logits, PLAIN), logits.softmax(-1))


def test_the_logits_are_left_as_they_are() -> None:
    logits = random_logits(50)
    before = logits.clone()
    everything = params(
        temperature=0.5, top_k=9, top_p=0.8, min_p=0.1, repetition_penalty=2, presence_penalty=1, logit_bias={3: 2.0}
    )
    distribution(logits, everything, Seen(prompt=(1, 2), answer=(3,)))
    assert torch.equal(logits, before)


def test_temperature_first_keeps_four_tokens_and_last_keeps_three() -> None:
    first = distribution(FIVE, params(temperature=2, top_p=0.8))
    last = distribution(FIVE, params(temperature=2, top_p=0.8, order="temperature-last"))
    assert survivors(first) == [0, 1, 2, 3]
    assert survivors(last) == [0, 1, 2]


def test_what_survives_is_renormalised_by_hand() -> None:
    expected = torch.tensor([0.5, 0.25, 0.15, 0, 0], dtype=torch.float64) / 0.9
    torch.testing.assert_close(distribution(FIVE, params(top_p=0.8)), expected)
    torch.testing.assert_close(distribution(FIVE, params(top_k=3)), expected)
    torch.testing.assert_close(distribution(FIVE, params(min_p=0.3)), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("p", "kept"), [(0.5, 1), (0.75, 2), (0.9, 3), (0.97, 4)])
def test_a_set_that_reaches_top_p_exactly_is_enough(dtype: torch.dtype, p: float, kept: int) -> None:
    for shift in (0.0, 0.3, 1.7):  # a constant changes nothing but the rounding, which must not decide
        assert len(survivors(distribution((FIVE + shift).to(dtype), params(top_p=p)))) == kept


def test_top_p_looks_at_what_top_k_left() -> None:
    # of the two that top_k leaves, renormalised to 2/3 and 1/3, the first alone reaches 0.6; of all five it does not
    assert survivors(distribution(FIVE, params(top_k=2, top_p=0.6))) == [0]
    assert survivors(distribution(FIVE, params(top_p=0.6))) == [0, 1]


def test_temperature_last_heats_only_the_survivors() -> None:
    heated = distribution(FIVE, params(temperature=2, top_k=2, order="temperature-last"))
    roots = torch.tensor([0.5, 0.25, 0, 0, 0], dtype=torch.float64).sqrt()
    torch.testing.assert_close(heated, roots / roots.sum())


def test_top_k_keeps_exactly_so_many_even_among_equals() -> None:
    assert len(survivors(distribution(torch.zeros(10), params(top_k=3)))) == 3


def test_top_k_beyond_the_vocabulary_keeps_all() -> None:
    assert len(survivors(distribution(FIVE, params(top_k=100)))) == 5


def test_the_likeliest_token_survives_every_filter() -> None:
    assert survivors(distribution(FIVE, params(top_p=1e-9))) == [0]
    assert survivors(distribution(FIVE, params(min_p=1))) == [0]


@pytest.mark.parametrize("p", [1e-40, 1e-46, 1e-300])
@pytest.mark.parametrize("size", [5, 4 * HEAD])
def test_the_likeliest_token_survives_a_top_p_that_float32_rounds_to_zero(size: int, p: float) -> None:
    logits = random_logits(size).float()
    assert survivors(distribution(logits, params(top_p=p))) == [int(logits.argmax())]


def test_temperature_zero_is_all_on_the_likeliest() -> None:
    logits = random_logits(50)
    probabilities = distribution(logits, params(temperature=0, top_k=5, top_p=0.9))
    assert survivors(probabilities) == [int(logits.argmax())]
    assert probabilities.sum() == 1


@pytest.mark.parametrize("temperature", [1e-300, 1e-38, 1e-6])
def test_a_tiny_temperature_does_not_overflow(temperature: float) -> None:
    logits = random_logits(50).float()
    assert survivors(distribution(logits, params(temperature=temperature))) == [int(logits.argmax())]


def test_a_bias_is_added_before_everything_else() -> None:
    biased = FIVE.clone()
    biased[4] += 3
    both = distribution(FIVE, params(logit_bias={4: 3.0}, top_k=2))
    torch.testing.assert_close(both, distribution(biased, params(top_k=2)))
    assert survivors(both) == [0, 4]


def test_a_bias_decides_at_temperature_zero() -> None:
    assert int(next_id(FIVE, params(temperature=0, logit_bias={3: 50.0}), Seen(), torch.Generator())) == 3


def test_a_huge_bias_stays_finite_in_float32() -> None:
    probabilities = distribution(FIVE.float(), params(logit_bias={0: -1e300, 1: 1e300, 2: 1e300}))
    assert survivors(probabilities) == [1, 2]


def test_repetition_divides_what_is_likely_and_multiplies_what_is_not() -> None:
    logits = torch.tensor([2.0, -2.0, 1.0, 0.5])
    penalised = distribution(logits, params(repetition_penalty=2), Seen(prompt=(0, 0), answer=(1,)))
    torch.testing.assert_close(penalised, torch.tensor([1.0, -4.0, 1.0, 0.5]).softmax(-1))


def test_an_extreme_repetition_penalty_stays_finite() -> None:
    logits = torch.tensor([2.0, -2.0, 1.0, 0.5])
    penalised = distribution(logits, params(repetition_penalty=1e-300), Seen(prompt=(0, 2)))
    assert survivors(penalised) == [0, 2]


def test_a_logit_of_zero_survives_a_repetition_penalty_that_float32_rounds_to_zero() -> None:
    penalised = distribution(torch.tensor([0.0, -2.0, 1.0]), params(repetition_penalty=1e-300), Seen(prompt=(0,)))
    torch.testing.assert_close(penalised, torch.tensor([0.0, -2.0, 1.0]).softmax(-1))


def test_presence_counts_once_and_frequency_every_time_in_the_answer_only() -> None:
    seen = Seen(prompt=(2, 2, 2), answer=(0, 0, 1))
    penalised = distribution(FIVE, params(presence_penalty=0.5, frequency_penalty=0.25), seen)
    cost = torch.tensor([0.5 + 2 * 0.25, 0.5 + 0.25, 0, 0, 0], dtype=torch.float64)
    torch.testing.assert_close(penalised, (FIVE - cost).softmax(-1))


@pytest.mark.parametrize("penalty", ["repetition_penalty", "presence_penalty", "frequency_penalty"])
def test_no_penalty_touches_a_protected_id(penalty: str) -> None:
    seen = Seen(prompt=(0, 1), answer=(0, 1, 1), protected=frozenset({0, 1}))
    torch.testing.assert_close(distribution(FIVE, params(**{penalty: 1.5}), seen), FIVE.softmax(-1))


def test_penalties_without_anything_seen_change_nothing() -> None:
    penalised = distribution(FIVE, params(repetition_penalty=2, presence_penalty=1, frequency_penalty=1), Seen())
    torch.testing.assert_close(penalised, FIVE.softmax(-1))


def test_penalties_come_before_temperature() -> None:
    seen = Seen(answer=(0,))
    heated = distribution(FIVE, params(temperature=2, presence_penalty=1), seen)
    by_hand = FIVE.clone()
    by_hand[0] -= 1
    torch.testing.assert_close(heated, (by_hand / 2).softmax(-1))


GRID = list(itertools.product([0.3, 1.0, 1.7], [0, 1, 7, 5000], [0.1, 0.8, 0.99, 1.0], [0.0, 0.05, 0.6]))


@pytest.mark.parametrize("order", ["temperature-first", "temperature-last"])
@pytest.mark.parametrize("size", [300, 4 * HEAD])
def test_every_combination_equals_the_processors_of_transformers(order: str, size: int) -> None:
    for seed, (temperature, top_k, top_p, min_p) in enumerate(GRID):
        values = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "min_p": min_p, "order": order}
        asked = params(repetition_penalty=1.3, **values)
        logits = random_logits(size, seed)
        ids = torch.randint(0, size, (40,), generator=torch.Generator().manual_seed(seed)).tolist()
        ours = distribution(logits, asked, Seen(prompt=ids[:30], answer=ids[30:]))
        torch.testing.assert_close(ours, by_transformers(logits, ids, asked), rtol=1e-12, atol=1e-14)


def by_transformers(logits: torch.Tensor, ids: list[int], asked: SamplingParams) -> torch.Tensor:
    from transformers.generation import logits_process as theirs

    heat = [theirs.TemperatureLogitsWarper(asked.temperature)]
    keeps = [theirs.TopKLogitsWarper(asked.top_k)] if asked.top_k else []
    keeps += [theirs.TopPLogitsWarper(asked.top_p)] if asked.top_p < 1 else []
    keeps += [theirs.MinPLogitsWarper(asked.min_p)] if asked.min_p else []
    steps = [theirs.RepetitionPenaltyLogitsProcessor(asked.repetition_penalty)]
    steps += heat + keeps if asked.order == "temperature-first" else keeps + heat
    scores = logits[None]
    for step in steps:
        scores = step(torch.tensor([ids]), scores)
    return scores[0].softmax(-1)


@pytest.mark.parametrize("spread", [0.01, 4.0])
@pytest.mark.parametrize("p", [0.1, 0.9, 0.999])
def test_top_p_is_the_same_whether_the_head_suffices_or_all_is_sorted(spread: float, p: float) -> None:
    logits = random_logits(8 * HEAD) * spread  # nearly flat: the head holds an eighth of the mass
    ranked, ids = logits.sort(descending=True)
    probs = ranked.softmax(-1)
    kept = ids[: int((probs.cumsum(-1) < p).sum()) + 1]
    expected = torch.full_like(logits, -torch.inf).scatter(-1, kept, logits[kept])
    assert torch.equal(keep_top_p(logits, p), expected)


def test_top_p_treats_the_rows_of_a_batch_apart() -> None:
    flat, steep = random_logits(2 * HEAD, 1) / 100, random_logits(2 * HEAD, 2)
    together = keep_top_p(torch.stack([flat, steep]), 0.9)
    assert torch.equal(together[0].isfinite(), keep_top_p(flat, 0.9).isfinite())
    assert torch.equal(together[1].isfinite(), keep_top_p(steep, 0.9).isfinite())


def test_draws_follow_the_distribution() -> None:
    generator = torch.Generator().manual_seed(7)
    probabilities = distribution(FIVE, params(top_k=3))
    counts = Counter(int(draw(probabilities, generator)) for _ in range(20_000))
    assert set(counts) == {0, 1, 2}
    for token, probability in enumerate(probabilities[:3].tolist()):
        assert abs(counts[token] / 20_000 - probability) < 0.015  # four standard deviations


def test_a_seed_says_what_is_drawn() -> None:
    probabilities = distribution(random_logits(100), PLAIN)
    runs = [
        [int(draw(probabilities, generator)) for _ in range(20)]
        for generator in (torch.Generator().manual_seed(seed) for seed in (1, 1, 2))
    ]
    assert runs[0] == runs[1] != runs[2]


def test_a_token_of_probability_zero_is_never_drawn() -> None:
    probabilities = torch.zeros(1000)
    probabilities[500] = 0.3
    probabilities[600] = 0.7
    generator = torch.Generator().manual_seed(0)
    assert {int(draw(probabilities, generator)) for _ in range(500)} == {500, 600}


def test_next_id_at_temperature_zero_is_the_likeliest_after_penalties() -> None:
    greedy = params(temperature=0, presence_penalty=2)
    assert int(next_id(FIVE, greedy, Seen(answer=(0,)), torch.Generator())) == 1
    assert int(distribution(FIVE, greedy, Seen(answer=(0,))).argmax()) == 1


@pytest.mark.parametrize("p", [0.3, 0.95, 0.999])
def test_top_p_of_many_nearly_equal_tokens_keeps_as_many_as_exact_sums_do(p: float) -> None:
    logits = random_logits(32 * HEAD) * 0.5
    ranked, ids = logits.double().sort(descending=True)
    exact = int((ranked.softmax(-1).cumsum(-1) < p).sum()) + 1
    kept = keep_top_p(logits, p).isfinite()
    assert int(kept.sum()) == exact
    assert bool(kept[ids[:exact]].all())
