"""The engine on a tiny model: what it draws, when it stops, what it tells and what it keeps."""

from __future__ import annotations

import threading
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
import torch

from mistral_cli.contract import Notice, PrefillProgress, SamplingParams, TokenDrawn, TokensDone
from mistral_cli.engine.generate import NativeEngine
from mistral_cli.errors import ContextError, MistralError, OutOfMemoryError, UsageError
from mistral_cli.model.args import ModelArgs
from mistral_cli.model.transformer import Mistral

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mistral_cli.contract import EngineEvent

ARGS = ModelArgs(
    dim=32,
    n_layers=3,
    head_dim=8,
    hidden_dim=64,
    n_heads=4,
    n_kv_heads=2,
    norm_eps=1e-5,
    vocab_size=97,
    max_position_embeddings=200,
    sliding_window=None,
)
GREEDY = SamplingParams(temperature=0)
PROMPT = tuple(range(3, 33))


def lively(args: ModelArgs = ARGS, seed: int = 2) -> Mistral:
    """Return a random model whose answers vary: layers that outweigh the embedding."""
    model = Mistral(args, torch.Generator().manual_seed(seed), dtype=torch.float64)
    with torch.no_grad():
        for weight in model.model.layers.parameters():
            if weight.dim() > 1:
                weight.mul_(30)
    return model


MODEL = lively()


def engine(model: Mistral = MODEL, *, eos: Sequence[int] = (), chunk: int = 256, context: int = 200) -> NativeEngine:
    return NativeEngine(model, context=context, eos_ids=eos, control_ids={1, 2}, chunk=chunk)


def ask(which: NativeEngine, prompt: Sequence[int] = PROMPT, **values: object) -> tuple[list[int], TokensDone]:
    params = GREEDY.with_values({"max_tokens": 12, **values})
    events = list(which.generate(prompt, params))
    done = events[-1]
    assert isinstance(done, TokensDone)
    return ids(events), done


def ids(events: Sequence[EngineEvent]) -> list[int]:
    return [event.id for event in events if isinstance(event, TokenDrawn)]


def by_hand(prompt: Sequence[int], count: int, model: Mistral = MODEL) -> list[int]:
    """Return the greedy answer from whole passes without any cache."""
    sequence = list(prompt)
    for _ in range(count):
        logits, _ = model(torch.tensor([sequence]))
        sequence.append(int(logits[0, -1].argmax()))
    return sequence[len(prompt) :]


@pytest.mark.parametrize("chunk", [1, 7, 30, 256])
def test_a_greedy_answer_is_that_of_whole_passes_whatever_the_chunk(chunk: int) -> None:
    answer, done = ask(engine(chunk=chunk))
    assert answer == by_hand(PROMPT, 12)
    assert len(set(answer)) > 3
    assert (done.prompt_tokens, done.answer_tokens, done.reason) == (30, 12, "length")


def test_eos_ends_the_answer_is_counted_and_not_yielded() -> None:
    expected = by_hand(PROMPT, 12)
    answer, done = ask(engine(eos=[expected[4]]))
    assert answer == expected[: expected.index(expected[4])]
    assert (done.reason, done.answer_tokens) == ("stop", len(answer) + 1)


def test_any_of_several_eos_ids_ends_the_answer() -> None:
    expected = by_hand(PROMPT, 12)
    answer, done = ask(engine(eos=[96, expected[0]]))
    assert (answer, done.reason, done.answer_tokens) == ([], "stop", 1)


def test_progress_counts_the_prompt_in_chunks() -> None:
    events = list(engine(chunk=8).generate(PROMPT, GREEDY.with_values({"max_tokens": 1})))
    progress = [event for event in events if isinstance(event, PrefillProgress)]
    assert progress == [PrefillProgress(done, 30) for done in (0, 8, 16, 24, 30)]
    assert [type(event) for event in events[5:]] == [TokenDrawn, TokensDone]


def test_the_limit_on_tokens_is_kept() -> None:
    answer, done = ask(engine(), max_tokens=3)
    assert (len(answer), done.reason) == (3, "length")


def test_a_full_context_ends_the_answer() -> None:
    answer, done = ask(engine(context=40), max_tokens=None)
    assert (len(answer), done.answer_tokens, done.reason) == (10, 10, "length")


def test_the_token_that_fills_the_context_is_right() -> None:
    assert ids(list(engine(context=40).generate(PROMPT, GREEDY))) == by_hand(PROMPT, 10)


@pytest.mark.parametrize("window", [None, 1, 8])
def test_a_prompt_that_leaves_room_for_one_token_gets_one(window: int | None) -> None:
    model = lively(replace(ARGS, sliding_window=window))
    chat = engine(model, context=len(PROMPT) + 1, chunk=7)
    for _ in range(2):  # cold, then with all but the prompt's last token kept
        answer, done = ask(chat, max_tokens=None)
        assert (answer, done.answer_tokens, done.reason) == (by_hand(PROMPT, 1, model), 1, "length")


@pytest.mark.parametrize("length", [40, 41, 500])
def test_a_prompt_that_fills_the_context_is_refused_with_both_numbers_at_once(length: int) -> None:
    with pytest.raises(ContextError, match=rf"{length} tokens.*40"):
        engine(context=40).generate([5] * length, GREEDY)


def test_an_empty_prompt_is_refused() -> None:
    with pytest.raises(UsageError, match="empty"):
        engine().generate([], GREEDY)


def test_a_bias_for_a_token_beyond_the_vocabulary_is_refused() -> None:
    with pytest.raises(UsageError, match="--logit-bias names token 97"):
        engine().generate(PROMPT, GREEDY.with_values({"logit_bias": {97: 1.0}}))


def test_the_same_seed_gives_the_same_answer_and_another_another() -> None:
    answers = [ask(engine(), temperature=1, seed=seed)[0] for seed in (1, 1, 2)]
    assert answers[0] == answers[1] != answers[2]


def test_a_fresh_seed_is_told_and_gives_the_answer_again() -> None:
    answer, done = ask(engine(), temperature=1)
    again, told = ask(engine(), temperature=1, seed=done.seed)
    assert (answer, done.seed) == (again, told.seed)
    assert ask(engine(), temperature=1)[1].seed != done.seed


def test_penalties_see_the_prompt_and_the_answer_but_not_control_ids() -> None:
    loud = {"repetition_penalty": 100.0, "temperature": 0.0}
    answer, _ = ask(engine(), **loud)
    assert not set(answer) & set(PROMPT)
    assert len(set(answer)) == 12
    protected, _ = ask(engine(), logit_bias={2: 1e4}, frequency_penalty=100.0)
    assert protected == [2] * 12


def test_logprobs_are_the_models_own_before_any_filter() -> None:
    params = SamplingParams(temperature=2, top_k=3, logit_bias={50: 3.0}, seed=1, max_tokens=4, logprobs=5)
    tokens = [event for event in engine().generate(PROMPT, params) if isinstance(event, TokenDrawn)]
    sequence = list(PROMPT)
    for token in tokens:
        expected = MODEL(torch.tensor([sequence]))[0][0, -1].detach().log_softmax(-1)
        assert token.logprob == pytest.approx(float(expected[token.id]), abs=1e-10)
        assert [id_ for id_, _ in token.top] == expected.topk(5).indices.tolist()
        assert [value for _, value in token.top] == pytest.approx(expected.topk(5).values.tolist(), abs=1e-10)
        sequence.append(token.id)


def test_no_logprobs_are_reported_unless_asked() -> None:
    drawn = next(event for event in engine().generate(PROMPT, GREEDY) if isinstance(event, TokenDrawn))
    assert drawn == TokenDrawn(id=drawn.id)


def test_zero_logprobs_reports_the_drawn_token_alone() -> None:
    params = GREEDY.with_values({"logprobs": 0, "max_tokens": 1})
    drawn = next(event for event in engine().generate(PROMPT, params) if isinstance(event, TokenDrawn))
    assert drawn.logprob is not None
    assert drawn.top == ()


def test_the_last_event_tells_times_and_memory() -> None:
    _, done = ask(engine())
    assert 0 < done.seconds_to_first_token < 30
    assert done.tokens_per_second > 0
    assert done.peak_memory > 10**6
    assert ask(engine(), max_tokens=1)[1].tokens_per_second == 0


class SetAfter(threading.Event):
    """A cancel flag that is set when it has been read ``reads`` times."""

    def __init__(self, reads: int) -> None:
        super().__init__()
        self.left = reads

    def is_set(self) -> bool:
        self.left -= 1
        return self.left < 0


@pytest.mark.parametrize("reads", range(0, 12))
def test_a_cancel_between_any_two_layers_leaves_a_cache_that_goes_on_as_a_cold_one(reads: int) -> None:
    warm = engine(chunk=10)
    events = list(warm.generate(PROMPT, GREEDY, cancel=SetAfter(reads)))
    assert events[-1].reason == "cancelled"
    assert events[-1].answer_tokens == (0 if reads < 10 else 1)
    answer, done = ask(warm)
    assert answer == by_hand(PROMPT, 12)
    assert done.reused_tokens == min(reads // ARGS.n_layers * 10, 29)


def test_a_cancel_flag_is_read_before_every_layer_of_a_chunk() -> None:
    flag = SetAfter(10**6)
    list(engine().generate(PROMPT, GREEDY.with_values({"max_tokens": 1}), cancel=flag))
    assert 10**6 - flag.left >= ARGS.n_layers


def test_a_cancelled_answer_says_what_it_had() -> None:
    flag = threading.Event()
    events = []
    for event in engine().generate(PROMPT, GREEDY, cancel=flag):
        events.append(event)
        if len(ids(events)) == 4:
            flag.set()
    assert ids(events) == by_hand(PROMPT, 4)
    assert events[-1] == replace(events[-1], reason="cancelled", answer_tokens=4)


def test_closing_the_iterator_keeps_the_cache_of_what_was_drawn() -> None:
    warm = engine()
    events = warm.generate(PROMPT, GREEDY)
    drawn = [event.id for event, _ in zip((e for e in events if isinstance(e, TokenDrawn)), range(5), strict=False)]
    events.close()
    answer, done = ask(warm, [*PROMPT, *drawn])
    assert done.reused_tokens == len(PROMPT) + 4  # the last one drawn was never computed
    assert answer == by_hand([*PROMPT, *drawn], 12)


def test_a_new_answer_closes_the_one_before() -> None:
    shared = engine()
    first = shared.generate(PROMPT, GREEDY)
    next(event for event in first if isinstance(event, TokenDrawn))
    assert ask(shared, PROMPT[:20])[0] == by_hand(PROMPT[:20], 12)
    assert list(first) == []


def test_the_next_turn_reads_only_what_is_new() -> None:
    chat = engine()
    answer, _ = ask(chat)
    longer = [*PROMPT, *answer, 40, 41, 42]
    again, done = ask(chat, longer)
    assert done.reused_tokens == len(PROMPT) + 11
    assert again == by_hand(longer, 12)


def test_the_same_prompt_again_computes_its_last_token_only() -> None:
    chat = engine()
    first, _ = ask(chat)
    again, done = ask(chat)
    assert (again, done.reused_tokens) == (first, 29)


def test_a_window_that_rolled_past_is_read_again_and_said() -> None:
    model = lively(replace(ARGS, sliding_window=8, max_position_embeddings=2000))
    chat = engine(model, context=2000)
    prompt = [3 + index % 90 for index in range(700)]
    ask(chat, prompt)
    events = list(chat.generate(prompt[:400], GREEDY.with_values({"max_tokens": 12})))
    assert "sliding window" in next(event.text for event in events if isinstance(event, Notice))
    assert events[-1].reused_tokens == 0
    assert ids(events) == by_hand(prompt[:400], 12, model)


def test_a_new_chat_after_a_rolled_window_gives_no_notice() -> None:
    chat = engine(lively(replace(ARGS, sliding_window=8, max_position_embeddings=2000)), context=2000)
    ask(chat, [3 + index % 90 for index in range(700)])
    events = list(chat.generate([3, 4, 50, 51, 52, 53, 54], GREEDY.with_values({"max_tokens": 2})))
    assert not any(isinstance(event, Notice) for event in events)


def broken(change: Callable[[Mistral], None]) -> Mistral:
    model = lively()
    with torch.no_grad():
        change(model)
    return model


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_logits_that_are_not_finite_stop_at_the_first_token(value: float) -> None:
    model = broken(lambda model: model.lm_head.weight[5].fill_(value))
    with pytest.raises(MistralError, match=r"not finite .* token 1 of the answer, after 30 tokens"):
        list(engine(model).generate(PROMPT, GREEDY))


def test_the_error_names_the_token_at_which_logits_broke() -> None:
    expected = by_hand(PROMPT, 12)
    third = expected[2]
    assert third not in PROMPT
    assert third not in expected[:2]
    model = broken(lambda model: model.model.embed_tokens.weight[third].fill_(torch.nan))
    drawn = []
    with pytest.raises(MistralError, match="token 4 of the answer, after 33 tokens") as caught:
        drawn.extend(event for event in engine(model).generate(PROMPT, GREEDY))
    assert "--dtype float32" in caught.value.hint
    assert caught.value.exit_code == 1


def test_after_broken_logits_the_next_answer_starts_afresh() -> None:
    expected = by_hand(PROMPT, 12)
    model = broken(lambda model: model.model.embed_tokens.weight[expected[2]].fill_(torch.nan))
    chat = engine(model)
    with pytest.raises(MistralError, match="not finite"):
        list(chat.generate(PROMPT, GREEDY))
    answer, done = ask(chat, max_tokens=3)
    assert (answer, done.reused_tokens) == (expected[:3], 0)


def out_of_memory_on_the_cpu() -> None:
    torch.empty(2**60, dtype=torch.int8)


def out_of_memory_on_a_mac() -> None:
    raise RuntimeError("MPS backend out of memory (MPS allocated: 9.00 GB). Tried to allocate 1.00 GB on private pool.")


@pytest.mark.parametrize("run_out", [out_of_memory_on_the_cpu, out_of_memory_on_a_mac])
def test_memory_that_runs_out_is_said_as_such(run_out: Callable[[], None]) -> None:
    def greedy_layer(*_: object) -> None:
        run_out()

    chat = engine(lively())
    handle = chat.model.model.norm.register_forward_pre_hook(greedy_layer)
    with pytest.raises(OutOfMemoryError, match="memory ran out"):
        list(chat.generate(PROMPT, GREEDY))
    handle.remove()
    assert ask(chat)[0] == by_hand(PROMPT, 12)


def test_other_errors_of_torch_stay_what_they_are() -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("shapes")

    chat = engine(lively())
    chat.model.model.norm.register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="shapes"):
        list(chat.generate(PROMPT, GREEDY))


def test_ids_come_one_by_one_before_the_next_is_computed() -> None:
    calls: list[int] = []
    model = lively()
    model.model.norm.register_forward_pre_hook(lambda *_: calls.append(1))
    seen = [len(calls) for event in engine(model).generate(PROMPT, GREEDY) if isinstance(event, TokenDrawn)]
    assert all(later - earlier == 1 for earlier, later in pairwise(seen))
    assert seen[0] == 1
