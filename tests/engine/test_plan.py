"""What fits is known, and what does not is refused, before anything is loaded."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import torch

from mistral_cli.engine import plan
from mistral_cli.engine.plan import Plan, free_memory, kv_bytes, plan_context, weight_bytes
from mistral_cli.errors import OutOfMemoryError, UsageError
from mistral_cli.model.args import ModelArgs
from mistral_cli.weights.methods import choose_method

CPU = torch.device("cpu")
SEVEN = ModelArgs.mistral_7b_v03()
GB = 10**9


def seven(args: ModelArgs = SEVEN, **form: str | int) -> Plan:
    return Plan(args=args, dtype=torch.bfloat16, device=CPU, **form)  # type: ignore[arg-type]


def planned(
    monkeypatch: pytest.MonkeyPatch, free: int, asked: int | None = None, args: ModelArgs = SEVEN, **form: str | int
) -> int:
    monkeypatch.setattr(plan, "host_free", lambda: free)
    return plan_context(seven(args=args, **form), asked)


def test_keys_and_values_in_eight_bits_take_half_the_memory() -> None:
    assert kv_bytes(SEVEN, 4096, torch.bfloat16, "int8") == 4096 * 67_584  # 128 codes and a scale of 4 bytes


def test_a_7b_cache_takes_half_a_gibibyte_for_4096_tokens() -> None:
    assert kv_bytes(SEVEN, 4096, torch.bfloat16) == 512 * 2**20


def test_a_window_bounds_the_cache_and_layers_without_one_grow_on() -> None:
    windowed = ModelArgs(sliding_window=1024)
    assert kv_bytes(windowed, 50_000, torch.bfloat16) >= (1024 + 255) * windowed.kv_bytes_per_token(2)  # and a block
    assert kv_bytes(windowed, 100_000, torch.bfloat16) == kv_bytes(windowed, 50_000, torch.bfloat16)
    mixed = ModelArgs(sliding_window=(None,) + (1024,) * 31)
    grown = kv_bytes(mixed, 100_000, torch.bfloat16) - kv_bytes(mixed, 50_000, torch.bfloat16)
    assert grown == 50_000 * mixed.kv_bytes_per_token(2) // 32


def test_weights_take_two_bytes_a_parameter_in_bfloat16() -> None:
    assert weight_bytes(SEVEN, torch.bfloat16) == 2 * 7_248_023_552


def test_a_7b_takes_4_gb_in_nf4_its_embeddings_in_bfloat16() -> None:
    weights, kept, nf4 = 7_248_023_552, (32_768 + 65) * 4096, choose_method("nf4", CPU)
    packed, matrices = weights - kept, 32 * 7 + 1
    # 4 bits each, 8 for a scale of 64, 32 for the size of 256 of them and for the offset of a matrix
    wanted = packed // 2 + packed // 64 + packed // 64 // 256 * 4 + matrices * 4 + 2 * kept
    assert weight_bytes(SEVEN, torch.bfloat16, nf4) == wanted < 3.95 * GB


def test_what_another_model_will_give_back_counts_as_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "host_free", lambda: 3 * GB)
    with pytest.raises(OutOfMemoryError, match="3,000,000,000 are free"):
        plan_context(seven(quantize="nf4"))
    with pytest.raises(OutOfMemoryError, match="4,000,000,000 are free"):
        plan_context(seven(quantize="nf4"), more=GB)
    assert plan_context(seven(quantize="nf4"), 4096, more=4 * GB) == 4096


def test_a_quantized_7b_fits_where_a_whole_one_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "host_free", lambda: 6 * GB)
    assert plan_context(seven(quantize="nf4"), 4096) == 4096
    with pytest.raises(OutOfMemoryError, match="14,496,047,104 for its weights in bfloat16"):
        plan_context(seven(), 4096)
    monkeypatch.setattr(plan, "host_free", lambda: 3 * GB)
    with pytest.raises(OutOfMemoryError, match="3,938,624,388 for its weights in nf4"):
        plan_context(seven(quantize="nf4"))


def test_adapters_take_their_part_whole_however_the_weights_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = 27_262_976
    with_them, without = seven(quantize="nf4", adapters=numbers), seven(quantize="nf4")
    assert with_them.needed(4096) - without.needed(4096) == 4 * numbers
    monkeypatch.setattr(plan, "host_free", lambda: without.needed(4096))
    assert plan_context(without, 4096) == 4096
    with pytest.raises(OutOfMemoryError, match="109,051,904 for its adapters, the rest for 4,096 tokens") as caught:
        plan_context(with_them, 4096)
    assert follow(monkeypatch, without.needed(4096), caught.value.hint, 4096, quantize="nf4", adapters=numbers) < 4096


def test_twice_the_context_fits_where_keys_and_values_take_eight_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = replace(SEVEN, max_position_embeddings=2**20)
    monkeypatch.setattr(plan, "host_free", lambda: 24 * GB)
    assert plan_context(seven(args=wide, kv="int8"), 80_000) == 80_000
    with pytest.raises(OutOfMemoryError):
        plan_context(seven(args=wide), 80_000)


def test_the_default_context_is_8192_where_it_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    assert planned(monkeypatch, 100 * GB) == 8192


def test_the_default_context_is_the_models_own_where_that_is_less(monkeypatch: pytest.MonkeyPatch) -> None:
    small = ModelArgs(max_position_embeddings=1000)
    assert planned(monkeypatch, 100 * GB, args=small) == 1000


def test_the_default_context_shrinks_to_what_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    context = planned(monkeypatch, weight_bytes(SEVEN, torch.bfloat16) + GB // 2)
    assert 512 <= context < 8192
    assert kv_bytes(SEVEN, context, torch.bfloat16) < GB // 2


def test_a_context_that_was_asked_for_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert planned(monkeypatch, 100 * GB, asked=32_000) == 32_000


def test_a_model_that_does_not_fit_is_refused_with_both_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OutOfMemoryError, match=r"14,496,047,104 for its weights.* 8,000,000,000 are free") as caught:
        planned(monkeypatch, 8 * GB)
    assert caught.value.exit_code == 5


def test_weights_that_are_quantized_already_take_what_they_are_known_to_take(monkeypatch: pytest.MonkeyPatch) -> None:
    held = 5 * GB  # with a head in bfloat16, say
    own = seven(quantize="nf4", held=held)
    assert own.needed(512) - own.beside(512) == held > seven(quantize="nf4").weights
    monkeypatch.setattr(plan, "host_free", lambda: 3 * GB)
    with pytest.raises(OutOfMemoryError, match="5,000,000,000 for its weights in nf4") as caught:
        plan_context(own)
    assert caught.value.hint.startswith("What fits with --kv int8") is False


# -- the nearest thing that fits ---------------------------------------------------------------------------------------


def refused(
    monkeypatch: pytest.MonkeyPatch, free: int, args: ModelArgs = SEVEN, asked: int | None = None, **form: str
) -> OutOfMemoryError:
    monkeypatch.setattr(plan, "host_free", lambda: free)
    with pytest.raises(OutOfMemoryError) as caught:
        plan_context(seven(args=args, **form), asked)
    return caught.value


def follow(monkeypatch: pytest.MonkeyPatch, free: int, hint: str, asked: int | None = None, **form: str | int) -> int:
    """Do what a hint says: return the context that its flags give."""
    found = dict(re.findall(r"--(\w+) (\w+)", hint))
    asked = int(found.pop("context", 0)) or asked
    return planned(monkeypatch, free, asked, **{**form, **found})


def test_the_largest_context_that_fits_is_named_and_does(monkeypatch: pytest.MonkeyPatch) -> None:
    error = refused(monkeypatch, 16 * GB, asked=32_768)
    largest = follow(monkeypatch, 16 * GB, error.hint, asked=32_768)
    assert error.hint == f"It fits with --context {largest}."
    assert 512 <= largest < 32_768
    refused(monkeypatch, 16 * GB, asked=largest + 256)


def test_where_no_context_fits_a_cache_in_8_bits_is_named_if_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    free = seven(quantize="nf4", kv="int8").needed(512)
    error = refused(monkeypatch, free, quantize="nf4")
    assert error.hint == "It fits with --kv int8."
    assert follow(monkeypatch, free, error.hint, quantize="nf4") == 512


def test_where_the_weights_do_not_fit_their_quantization_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    error = refused(monkeypatch, 8 * GB, asked=4096)
    assert error.hint == "It fits with --quantize nf4."
    assert follow(monkeypatch, 8 * GB, error.hint, asked=4096) == 4096


def test_a_form_that_needs_fewer_tokens_too_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    free = seven(quantize="nf4").needed(1000)
    error = refused(monkeypatch, free, asked=32_768)
    assert error.hint == "It fits with --quantize nf4 --context 512."
    assert follow(monkeypatch, free, error.hint, asked=32_768) == 512


def test_where_no_form_of_it_fits_the_published_models_that_do_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    error = refused(monkeypatch, 8 * GB, ModelArgs.mixtral_8x7b())
    assert error.hint == "What fits with --quantize nf4 --kv int8: Nemo-12B, Ministral-8B, Mistral-7B."
    assert planned(monkeypatch, 8 * GB, args=ModelArgs.nemo_12b(), quantize="nf4", kv="int8") >= 512


def test_where_nothing_fits_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused(monkeypatch, GB).hint == ("Close other programs, or take the built-in model: no published one fits.")


def test_without_kernels_no_quantization_is_suggested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "method_reasons", lambda scheme, device: [(None, "it was not built")])
    assert "--quantize" not in refused(monkeypatch, 8 * GB, asked=4096).hint


def test_a_context_that_does_not_fit_is_refused_and_not_made_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OutOfMemoryError, match="32,768 tokens"):
        planned(monkeypatch, 16 * GB, asked=32_768)


@pytest.mark.parametrize("asked", [0, -5, 32_769])
def test_a_context_the_model_was_not_made_for_is_refused(monkeypatch: pytest.MonkeyPatch, asked: int) -> None:
    with pytest.raises(UsageError, match="1 to 32,768"):
        planned(monkeypatch, 100 * GB, asked=asked)


def test_the_cpu_has_the_hosts_free_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "host_free", lambda: 12345)
    assert free_memory(CPU) == 12345
