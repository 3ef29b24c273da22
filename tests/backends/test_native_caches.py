"""A cache that comes back from the disk is as good as one that was never left: equal logits, and equal bits in int8.

The oracle is a pass over the whole prompt without any cache.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from lora_files import write_adapter
from mistral_cli.backends.native_adapters import NativeAdapters
from mistral_cli.backends.native_caches import NativeCaches
from mistral_cli.contract import SamplingParams, TokenDrawn, TokensDone
from mistral_cli.engine.generate import NativeEngine
from mistral_cli.engine.kv_store import KVStore
from mistral_cli.model.args import ModelArgs
from mistral_cli.model.cache import INT8, bytes_per_token
from mistral_cli.model.transformer import Mistral
from mistral_cli.weights.quantized_file import Identity

if TYPE_CHECKING:
    from collections.abc import Sequence

ARGS = ModelArgs(
    dim=64, n_layers=2, head_dim=16, hidden_dim=96, n_heads=4, n_kv_heads=2, vocab_size=101, sliding_window=None
)
WINDOWED = replace(ARGS, sliding_window=(16, None))
PROMPT = tuple(range(3, 70))
IDENTITY = Identity(files=(), scheme="none", layout="", device="cpu", dtype="float64")
CHAT = "1@2026"


@pytest.fixture
def store(tmp_path: Path) -> KVStore:
    return KVStore(folder=tmp_path / "chats", limit=10**9)


def caches(
    args: ModelArgs = ARGS, kv: str = "none", identity: Identity = IDENTITY, dtype: torch.dtype = torch.float64
) -> NativeCaches:
    """Return a model that was just loaded: the same weights every time."""
    model = Mistral(args, torch.Generator().manual_seed(4), dtype=dtype).eval()
    with torch.no_grad():
        for weight in model.model.layers.parameters():
            if weight.dim() > 1:
                weight.mul_(15)  # logits that depend on what was read
    model.kv = kv
    engine = NativeEngine(model, context=2048, eos_ids={2}, chunk=32)
    return NativeCaches(engine=engine, adapters=NativeAdapters(engine), identity=identity, folder=Path("/models/tiny"))


def ask(kept: NativeCaches, prompt: Sequence[int], tokens: int = 6) -> tuple[list[int], int, list[torch.Tensor]]:
    """Answer; return the ids drawn, how many of the prompt's were not read, and the logits of each."""
    passes: list[torch.Tensor] = []
    hook = kept.engine.model.register_forward_hook(lambda _module, _inputs, output: passes.append(output[0][0, -1]))
    params = SamplingParams(temperature=0, max_tokens=tokens, logit_bias={2: -1e4})
    events = list(kept.engine.generate(prompt, params))
    hook.remove()
    done = events[-1]
    assert isinstance(done, TokensDone)
    ids = [event.id for event in events if isinstance(event, TokenDrawn)]
    return ids, done.reused_tokens, passes[-len(ids) :]


def check_cold(kept: NativeCaches, prompt: Sequence[int], ids: list[int], passes: list[torch.Tensor]) -> None:
    """Compare every token's logits with those of a pass that reads all of it anew."""
    for count, warm in enumerate(passes):
        with torch.inference_mode():
            cold, _ = kept.engine.model(torch.tensor([[*prompt, *ids[:count]]]), last_only=True)
        torch.testing.assert_close(warm, cold[0, -1], rtol=0, atol=1e-10)


def left(store: KVStore, prompt: Sequence[int] = PROMPT, **model: object) -> tuple[int, ...]:
    """Answer a prompt, leave the chat, and return what a prompt that goes on from there begins with."""
    first = caches(**model)  # type: ignore[arg-type]
    ids, _, _ = ask(first, prompt)
    assert first.put(store, CHAT, lambda: None) > 0
    return (*prompt, *ids)


def resumed(store: KVStore, **model: object) -> NativeCaches:
    again = caches(**model)  # type: ignore[arg-type]
    again.expect(store)
    return again


@pytest.mark.parametrize("args", [ARGS, WINDOWED], ids=["plain", "windowed"])
def test_a_reloaded_cache_has_the_logits_of_a_cold_prefill(store: KVStore, args: ModelArgs) -> None:
    prompt = (*left(store, args=args), 7, 8, 9)
    again = resumed(store, args=args)
    ids, reused, passes = ask(again, prompt)
    assert reused == len(PROMPT) + 5  # the last id drawn was never computed
    check_cold(again, prompt, ids, passes)


def test_a_chat_that_went_on_elsewhere_reuses_what_is_common(store: KVStore) -> None:
    left(store)
    again = resumed(store)
    prompt = (*PROMPT[:40], 90, 91, 92)
    ids, reused, passes = ask(again, prompt)
    assert reused == 40
    check_cold(again, prompt, ids, passes)


def test_a_reloaded_chat_goes_on_is_rewound_forked_and_kept_again_as_a_cold_one(store: KVStore) -> None:
    begun = left(store)
    again = resumed(store)
    talk = (*begun, 7, 8)
    for prompt in (talk, (*talk, *ask(again, talk)[0], 9), (*talk[:50], 11, 12), (*PROMPT, 13)):
        ids, reused, passes = ask(again, prompt)
        assert reused > 45
        check_cold(again, prompt, ids, passes)
    assert again.put(store, CHAT, lambda: None) > 0
    third = resumed(store)
    ids, reused, passes = ask(third, (*PROMPT, 13, 14))
    assert reused == len(PROMPT) + 1
    check_cold(third, (*PROMPT, 13, 14), ids, passes)


def test_a_window_that_rolled_is_kept_as_it_is_and_rewound_only_so_far(store: KVStore) -> None:
    long = tuple(3 + number % 90 for number in range(700))
    begun = left(store, long, args=WINDOWED)
    on, back = (*begun, 7, 8), (*long[:300], 7, 8)
    again = resumed(store, args=WINDOWED)
    ids, reused, passes = ask(again, on)
    assert reused == 705
    check_cold(again, on, ids, passes)
    cold = resumed(store, args=WINDOWED)
    ids, reused, passes = ask(cold, back)
    assert reused == 0
    check_cold(cold, back, ids, passes)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_a_cache_in_int8_comes_back_bit_for_bit(store: KVStore, dtype: torch.dtype) -> None:
    first = caches(kv=INT8, dtype=dtype)
    ids, _, _ = ask(first, PROMPT)
    first.put(store, CHAT, lambda: None)
    again = resumed(store, kv=INT8, dtype=dtype)
    prompt = (*PROMPT, *ids, 7)
    then, reused, _ = ask(again, prompt)
    length = len(PROMPT) + 5
    assert reused == length
    for one, other in zip(first.engine.kept.cache.layers, again.engine.kept.cache.layers, strict=True):
        assert all(map(torch.equal, one.held(length), other.held(length)))
    assert then == ask(first, prompt)[0]


@pytest.mark.parametrize(("kv", "dtype"), [("none", torch.bfloat16), (INT8, torch.bfloat16), ("none", torch.float32)])
def test_a_token_takes_on_the_disk_what_it_takes_in_memory(store: KVStore, kv: str, dtype: torch.dtype) -> None:
    left(store, kv=kv, dtype=dtype)
    (entry,) = store.entries()
    numbers = sum(part.nbytes for part in entry.kept.parts[1:])
    assert numbers == entry.kept.about.tokens * bytes_per_token(ARGS, dtype, kv)
    assert entry.kept.nbytes - numbers < 4 * entry.kept.about.tokens + 2000


def test_a_7b_takes_131072_bytes_a_token_and_67584_in_int8() -> None:
    args = ModelArgs.mistral_7b_v03()
    assert bytes_per_token(args, torch.bfloat16) == 131_072
    assert bytes_per_token(args, torch.bfloat16, INT8) == 67_584


@pytest.mark.parametrize(
    "other",
    [
        {"identity": replace(IDENTITY, scheme="nf4")},
        {"identity": replace(IDENTITY, layout="kernel-2")},
        {"identity": replace(IDENTITY, dtype="float32")},
        {"identity": replace(IDENTITY, device="cuda")},
        {"kv": INT8},
    ],
    ids=str,
)
def test_what_another_model_or_form_computed_is_not_used(store: KVStore, other: dict[str, object]) -> None:
    prompt = (*left(store), 7, 8)
    assert ask(resumed(store, **other), prompt)[1] == 0
    assert ask(resumed(store), prompt)[1] > 0


def test_what_an_adapter_had_a_part_in_is_used_with_that_adapter_alone(store: KVStore, tmp_path: Path) -> None:
    folder = write_adapter(tmp_path / "adapter", ARGS)
    first = caches()
    first.adapters.load(folder)
    ids, _, _ = ask(first, PROMPT)
    first.put(store, CHAT, lambda: None)
    prompt = (*PROMPT, *ids, 7)
    assert ask(resumed(store), prompt)[1] == 0
    weaker, same = resumed(store), resumed(store)
    weaker.adapters.load(folder, 0.5)
    assert ask(weaker, prompt)[1] == 0
    same.adapters.load(folder)
    assert ask(same, prompt)[1] == len(PROMPT) + 5


@pytest.mark.parametrize("at", [70, 2000, -30])
def test_a_damaged_cache_is_removed_and_the_prompt_is_read(store: KVStore, at: int) -> None:
    prompt = (*left(store), 7, 8)
    (path,) = store.folder.iterdir()
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    again = resumed(store)
    ids, reused, passes = ask(again, prompt)
    assert reused == 0
    check_cold(again, prompt, ids, passes)
    assert not path.exists()


def test_the_longest_beginning_wins_and_it_is_read_once(store: KVStore) -> None:
    left(store, PROMPT[:40])
    other = caches()
    ids, _, _ = ask(other, PROMPT)
    other.put(store, "2@2026", lambda: None)
    again = resumed(store)
    assert ask(again, (*PROMPT, *ids, 9))[1] == len(PROMPT) + 5
    again.engine.kept.forget()
    assert ask(again, (*PROMPT, *ids, 9))[1] == 0


def test_a_few_tokens_are_not_worth_the_disk(store: KVStore) -> None:
    left(store)
    assert ask(resumed(store), (*PROMPT[:10], 99, 98, 97))[1] == 0


def test_nothing_new_is_not_kept_again(store: KVStore) -> None:
    first = caches()
    assert first.put(store, CHAT, lambda: None) == 0
    ask(first, PROMPT)
    assert first.put(store, CHAT, lambda: None) > 0
    assert first.put(store, "another chat", lambda: None) == 0
    ask(first, (*PROMPT, 9))
    first.leave()  # that chat is gone
    assert first.put(store, CHAT, lambda: None) == 0
    assert len(store.entries()) == 1


def test_a_prompt_that_is_given_up_while_its_cache_is_read_leaves_an_empty_one(store: KVStore) -> None:
    class AtOnce:
        def is_set(self) -> bool:
            return True

    prompt = (*left(store), 7, 8)
    again = resumed(store)
    events = list(again.engine.generate(prompt, SamplingParams(), cancel=AtOnce()))
    assert isinstance(events[-1], TokensDone)
    assert (events[-1].reason, again.engine.kept.ids, again.engine.kept.cache.length) == ("cancelled", [], 0)
    ids, _, passes = ask(again, prompt)
    check_cold(again, prompt, ids, passes)
