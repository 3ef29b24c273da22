"""Attention on the CPU: near float64's, and every query's result its own, to the bit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from mistral_cli.kernels.attention import Held, attend, keep, readable, variants
from mistral_cli.kernels.library import KernelUnavailableError
from mistral_cli.model.cache import quantize

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADS, KV_HEADS = 8, 2
CACHES = (torch.bfloat16, torch.float32, torch.int8)
CASES = (  # tokens, position of the first, window
    (1, 0, None),
    (1, 63, None),
    (1, 64, None),
    (1, 500, 64),
    (70, 0, None),
    (33, 150, None),
    (50, 300, 37),
    (5, 63, 7),
    (90, 0, 1),
)


@pytest.fixture(params=[1, 2], ids="{} threads".format)
def _threads(request: pytest.FixtureRequest) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    torch.set_num_threads(before)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def held(cache: torch.dtype, keys: Tensor, values: Tensor) -> Held:
    """Return keys and values (B, H_kv, S, D) from position 0 on, as a cache of this dtype holds them."""
    if cache != torch.int8:
        return Held(keys=keys.to(cache), values=values.to(cache), scales=None, first=0, start=0)
    (codes, scales), (others, more) = quantize(keys), quantize(values)
    return Held(keys=codes, values=others, scales=(scales, more), first=0, start=0)


def part(whole: Held, first: int, start: int, end: int, row: slice = slice(None)) -> Held:
    """Return a view of positions ``first`` to ``end - 1``, for queries from ``start`` on."""
    span = (row, slice(None), slice(first, end))
    scales = whole.scales and (whole.scales[0][span], whole.scales[1][span])
    return Held(keys=whole.keys[span], values=whole.values[span], scales=scales, first=first, start=start)


def first_seen(start: int, window: int | None) -> int:
    return 0 if window is None else max(0, start - window + 1)


def exact(query: Tensor, kept: Held, window: int | None) -> Tensor:
    """Return attention in float64 over what ``kept`` stands for."""
    keys, values = kept.keys.double(), kept.values.double()
    if kept.scales:
        keys, values = keys * kept.scales[0], values * kept.scales[1]
    queries = torch.arange(kept.start, kept.start + query.shape[2])[:, None]
    places = torch.arange(kept.first, kept.first + keys.shape[2])
    seen = (places <= queries) & (places > queries - (window or 10**6))
    return functional.scaled_dot_product_attention(query.double(), keys, values, attn_mask=seen, enable_gqa=True)


def gap(one: Tensor, other: Tensor) -> float:
    return float((one - other).norm() / other.norm())


@pytest.mark.parametrize("variant", variants())
@pytest.mark.parametrize("cache", CACHES)
@pytest.mark.parametrize("width", [8, 16, 24, 80, 128, 256])
def test_it_is_attention_as_float64_computes_it(variant: str, cache: torch.dtype, width: int) -> None:
    whole = held(cache, drawn(2, KV_HEADS, 520, width), drawn(2, KV_HEADS, 520, width, seed=1))
    rounds = variant == "avx512-bf16" and cache != torch.float32
    for tokens, start, window in CASES:
        query = drawn(2, tokens, HEADS, width, seed=2).transpose(1, 2)
        kept = part(whole, first_seen(start, window), start, start + tokens)
        assert gap(attend(query, [kept], window=window, variant=variant), exact(query, kept, window)) < (
            6e-3 if rounds else 2e-6  # queries and weights in bfloat16, or all in float32
        )


@pytest.mark.parametrize("heads", [(1, 1), (6, 1), (7, 7), (96, 1), (12, 4)], ids=str)
def test_any_number_of_heads_may_share_a_head_of_keys(heads: tuple[int, int]) -> None:
    query, keys, values = (drawn(1, count, 70, 32, seed=i) for i, count in enumerate((heads[0], heads[1], heads[1])))
    kept = held(torch.float32, keys, values)
    assert gap(attend(query, [kept]), exact(query, kept, None)) < 2e-6


def test_results_have_the_dtype_of_their_queries() -> None:
    kept = held(torch.bfloat16, drawn(1, 2, 9, 64), drawn(1, 2, 9, 64, seed=1))
    query = drawn(1, 8, 9, 64, seed=2)
    assert attend(query, [kept]).dtype == torch.float32
    narrow = attend(query.bfloat16(), [kept])
    assert torch.equal(narrow, attend(query.bfloat16().float(), [kept]).bfloat16())


@pytest.mark.usefixtures("_threads")
@pytest.mark.parametrize("variant", variants())
@pytest.mark.parametrize("window", [None, 37, 64])
@pytest.mark.parametrize("cache", CACHES)
def test_a_query_gets_the_same_bits_however_many_are_computed_with_it(
    cache: torch.dtype, window: int | None, variant: str
) -> None:
    tokens = 300
    whole = held(cache, drawn(1, KV_HEADS, tokens + 30, 32), drawn(1, KV_HEADS, tokens + 30, 32, seed=1))
    query = drawn(1, HEADS, tokens, 32, seed=2)
    expected = attend(query, [part(whole, 0, 0, tokens)], window=window, variant=variant)
    for size in (256, 64, 17, 1):
        for start in range(0, tokens, size):
            end = min(start + size, tokens)
            kept = part(whole, first_seen(start, window), start, end + start % 30)  # what lies behind is not seen
            got = attend(query[:, :, start:end], [kept], window=window, variant=variant)
            assert torch.equal(got, expected[:, :, start:end])


def test_one_thread_and_two_give_the_same_bits() -> None:
    query, before = drawn(1, 32, 200, 64), torch.get_num_threads()
    kept = held(torch.bfloat16, drawn(1, 8, 200, 64, seed=1), drawn(1, 8, 200, 64, seed=2))
    try:
        results = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            results.append(attend(query, [kept]))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


@pytest.mark.parametrize("cache", CACHES)
def test_rows_with_caches_of_their_own_get_the_bits_they_get_alone(cache: torch.dtype) -> None:
    query = drawn(3, HEADS, 2, 32)
    whole = held(cache, drawn(3, KV_HEADS, 200, 32, seed=1), drawn(3, KV_HEADS, 200, 32, seed=2))
    parts = [part(whole, first, start, start + 2, slice(row, row + 1)) for row, (first, start) in enumerate(ROWS)]
    together = attend(query, parts, window=60)
    for row in range(3):
        assert torch.equal(together[row : row + 1], attend(query[row : row + 1], parts[row : row + 1], window=60))


ROWS = ((0, 0), (80, 140), (1, 60))


@pytest.mark.parametrize("variant", variants())
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("cache", [torch.bfloat16, torch.float32])
def test_a_value_that_is_not_finite_reaches_those_who_see_it_and_nobody_else(
    cache: torch.dtype, bad: float, variant: str
) -> None:
    query, keys, values = (drawn(1, count, 100, 32, seed=i) for i, count in enumerate((HEADS, KV_HEADS, KV_HEADS)))
    clean = attend(query, [held(cache, keys, values)], window=20, variant=variant)
    values[0, 0, 50, 3] = bad
    got = attend(query, [held(cache, keys, values)], window=20, variant=variant)
    touched = torch.zeros_like(got, dtype=torch.bool)
    touched[0, : HEADS // KV_HEADS, 50:70, 3] = True
    assert torch.equal(got[~touched], clean[~touched])
    assert not got[touched].isfinite().any()


@pytest.mark.parametrize("variant", variants())
@pytest.mark.parametrize("cache", CACHES)
def test_a_key_or_query_of_nan_reaches_those_who_see_it_and_nobody_else(cache: torch.dtype, variant: str) -> None:
    query, keys, values = (drawn(1, count, 100, 32, seed=i) for i, count in enumerate((HEADS, KV_HEADS, KV_HEADS)))
    clean = attend(query, [held(cache, keys, values)], window=20, variant=variant)
    keys[0, 0, 50, 3] = query[0, HEADS - 1, 7, 0] = torch.nan
    got = attend(query, [held(cache, keys, values)], window=20, variant=variant)
    touched = torch.zeros_like(got, dtype=torch.bool)
    touched[0, : HEADS // KV_HEADS, 50:70] = touched[0, HEADS - 1, 7] = True
    assert torch.equal(got[~touched], clean[~touched])
    assert got[touched].isnan().all()


def test_scores_beyond_what_exp_can_hold_are_no_trouble() -> None:
    query, keys, values = (drawn(1, 2, 80, 32, seed=i) for i in range(3))
    kept = held(torch.float32, keys * 1e4, values)
    for variant in variants():
        assert gap(attend(query, [kept], variant=variant), exact(query, kept, None)) < 1e-5


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_codes_are_those_that_the_cache_makes(dtype: torch.dtype) -> None:
    states = (drawn(2, 7, 48) * torch.logspace(-30, 30, 7)[:, None]).to(dtype)
    states[0, 2] = 0
    states[1, 3, 5], states[1, 4, 6] = torch.nan, torch.inf
    codes, scales = torch.zeros(2, 9, 48, dtype=torch.int8), torch.zeros(2, 9, 1)
    keep(states, codes[:, 1:8], scales[:, 1:8])
    wanted, steps = quantize(states)
    finite = steps.isfinite()
    assert torch.equal(codes[:, 1:8][finite.expand_as(wanted)], wanted[finite.expand_as(wanted)])
    assert torch.equal(scales[:, 1:8][finite], steps[finite])
    assert (codes * scales)[:, 1:8][~finite.expand_as(wanted)].isnan().all()
    assert not codes[:, [0, 8]].any()


def test_what_it_cannot_read_is_known_before() -> None:
    kept = held(torch.bfloat16, drawn(1, 2, 4, 64), drawn(1, 2, 4, 64))
    assert readable(drawn(1, 4, 4, 64), [kept])
    assert not readable(drawn(1, 4, 4, 64).double(), [kept])
    assert not readable(drawn(1, 4, 4, 64), [held(torch.float64, drawn(1, 2, 4, 64), drawn(1, 2, 4, 64))])
    assert not readable(drawn(1, 4, 4, 512), [held(torch.bfloat16, drawn(1, 2, 4, 512), drawn(1, 2, 4, 512))])


def test_a_variant_of_attention_that_is_not_there_is_refused() -> None:
    kept = held(torch.bfloat16, drawn(1, 2, 4, 64), drawn(1, 2, 4, 64))
    with pytest.raises(KernelUnavailableError, match=r"no variant 'sse9' .* There are: .*portable"):
        attend(drawn(1, 4, 4, 64), [kept], variant="sse9")
