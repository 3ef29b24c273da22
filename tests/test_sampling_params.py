"""Sampling parameters are valid once built, or they are not built."""

from __future__ import annotations

import math

import pytest

from mistral_cli.contract import SamplingParams
from mistral_cli.errors import UsageError


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"temperature": -1}, "--temperature is -1, but must be 0 to 100."),
        ({"temperature": math.nan}, "--temperature is nan, but must be 0 to 100."),
        ({"temperature": None}, "--temperature is None, but must be 0 to 100."),
        ({"top_p": 0}, "--top-p is 0, but must be above 0, up to 1."),
        ({"top_k": 0.5}, "--top-k is 0.5, but must be a whole number, 0 or more."),
        ({"seed": 1.5}, "--seed is 1.5, but must be a whole number, 0 to"),
        ({"seed": 10**400}, "--seed is 1000"),
        ({"max_tokens": 0}, "--max-tokens is 0, but must be 1 or more."),
        ({"max_tokens": 2.5}, "--max-tokens is 2.5, but must be a whole number, 1 or more."),
        ({"logprobs": 0.5}, "--logprobs is 0.5, but must be a whole number, 0 to 100."),
        ({"stop": "end"}, "--stop is 'end', but must be a tuple of strings."),
        ({"stop": ("end", "")}, "--stop is empty"),
        ({"logit_bias": {-1: 1.0}}, "--logit-bias -1=1.0"),
        ({"logit_bias": {1: math.inf}}, "--logit-bias 1=inf"),
        ({"order": "random"}, "--order is 'random'"),
    ],
)
def test_a_value_out_of_its_range_is_refused_by_its_flag(values: dict[str, object], complaint: str) -> None:
    with pytest.raises(UsageError) as caught:
        SamplingParams(**values)  # type: ignore[arg-type]
    assert caught.value.message.startswith(complaint)
    with pytest.raises(UsageError):
        SamplingParams().with_values(values)


def test_a_whole_number_may_be_written_with_a_point() -> None:
    assert SamplingParams(top_k=40.0, seed=None, max_tokens=None, logprobs=None).top_k == 40  # type: ignore[arg-type]
