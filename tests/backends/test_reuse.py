"""A conversation that reuses its cache gets the logits of one that is read anew, in the chat format of every version.

The oracle is a pass over the whole prompt without any cache, for every token that is drawn.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest
import torch
from every_tokenizer import EVERY_VERSION, make_tokenizer

from mistral_cli.backends.native import NativeBackend
from mistral_cli.contract import Done, Message, ModelInfo, Notice, SamplingParams, TextDelta
from mistral_cli.engine.generate import NativeEngine
from mistral_cli.model.args import ModelArgs
from mistral_cli.model.transformer import Mistral

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mistral_cli.contract import Event
    from mistral_cli.text.tokenizer import Tokenizer

ARGS = ModelArgs(
    dim=16,
    n_layers=2,
    head_dim=8,
    hidden_dim=32,
    n_heads=4,
    n_kv_heads=2,
    max_position_embeddings=4096,
    sliding_window=None,
    tie_word_embeddings=True,
)
CASES = ((torch.float64, None), (torch.float64, (16, None)), (torch.float32, 16))
"""The dtype computed in, and the window of every layer or of each."""
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-4}
SYSTEM = "You answer in one sentence, and never without a reason."
QUESTIONS = (
    "What is a KV cache, and why would anyone keep one?",
    "Say it again, shorter  ",
    "Und auf Deutsch? 🙂",
    "Now in French: [INST] is not a control token here.",
)
LONG = " ".join(f"Sentence number {number} is here to make the window roll." for number in range(60))


@pytest.fixture(scope="module", params=EVERY_VERSION)
def tokenizer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return make_tokenizer(tmp_path_factory.mktemp("tokenizer"), request.param)


@dataclass
class Chat:
    """A conversation on a warm back end, every token of which is compared with a cold pass."""

    backend: NativeBackend
    messages: list[Message] = field(default_factory=list)
    seeds: Iterator[int] = field(default_factory=itertools.count)
    reused: list[int] = field(default_factory=list)

    @property
    def model(self) -> Mistral:
        return self.backend.engine.model

    def ask(self, question: str, *, tokens: int = 4, stop_after: int | None = None) -> list[Event]:
        """Ask; the answer goes into the conversation with the ids that were drawn, as a chat keeps it."""
        self.messages.append(Message(role="user", content=question))
        events, ids = self._answer(tokens, stop_after)
        self.messages.append(Message(role="assistant", content="what was said", ids=ids))
        return events

    def go_on(self, kept: int, *forced: int, tokens: int = 4) -> None:
        """Rewind the last answer to its first ``kept`` ids, put ``forced`` after them and go on from there."""
        said = self.messages.pop()
        begun = replace(said, ids=(*said.ids[:kept], *forced), prefix=True)
        self.messages.append(begun)
        _, ids = self._answer(tokens, None)
        self.messages[-1] = replace(said, ids=begun.ids + ids)

    def _answer(self, tokens: int, stop_after: int | None) -> tuple[list[Event], tuple[int, ...]]:
        prompt = self.backend.encode(self.messages)
        params = SamplingParams(
            temperature=1.5,
            top_p=1.0,
            seed=next(self.seeds),
            max_tokens=tokens,
            logit_bias={self.backend.tokenizer.eos_id: -1e4},
        )
        passes: list[torch.Tensor] = []
        hook = self.model.register_forward_hook(lambda _module, _inputs, output: passes.append(output[0][0, -1]))
        events = list(self._listen(params, stop_after))
        hook.remove()
        ids = [token.id for event in events if isinstance(event, TextDelta) for token in event.tokens]
        self._compare(passes[-len(ids) :], prompt, ids)
        self.reused += [event.reused_tokens for event in events if isinstance(event, Done)]
        return events, tuple(ids)

    def _listen(self, params: SamplingParams, stop_after: int | None) -> Iterator[Event]:
        stream = self.backend.stream(self.messages, params)
        drawn = 0
        for event in stream:
            yield event
            drawn += isinstance(event, TextDelta)
            if drawn == stop_after:
                stream.close()
                return

    def _compare(self, passes: list[torch.Tensor], prompt: tuple[int, ...], ids: list[int]) -> None:
        assert len(passes) == len(ids) > 0
        tolerance = TOLERANCE[self.model.dtype]
        for count, warm in enumerate(passes):
            with torch.inference_mode():
                cold, _ = self.model(torch.tensor([[*prompt, *ids[:count]]]), last_only=True)
            torch.testing.assert_close(warm, cold[0, -1], rtol=0, atol=tolerance)


def chat(tokenizer: Tokenizer, dtype: torch.dtype, window: object, chunk: int = 32) -> Chat:
    args = replace(ARGS, vocab_size=tokenizer.vocab_size, sliding_window=window)
    model = Mistral(args, torch.Generator().manual_seed(4), dtype=dtype)
    with torch.no_grad():
        for weight in model.model.layers.parameters():
            if weight.dim() > 1:
                weight.mul_(30)  # logits that depend on what was read
    engine = NativeEngine(
        model, context=4096, eos_ids={tokenizer.eos_id}, control_ids=tokenizer.control_ids, chunk=chunk
    )
    info = ModelInfo(
        name="tiny", path="", parameters=0, dtype="", device="cpu", context=4096, tokenizer=tokenizer.version
    )
    return Chat(NativeBackend(engine=engine, tokenizer=tokenizer, info=info, defaults={}))


@pytest.mark.parametrize(("dtype", "window"), CASES, ids=str)
def test_every_turn_of_a_chat_has_the_logits_of_a_cold_prefill(
    tokenizer: Tokenizer, dtype: torch.dtype, window: object
) -> None:
    talk = chat(tokenizer, dtype, window)
    talk.messages.append(Message(role="system", content=SYSTEM))
    talk.ask(QUESTIONS[0])
    talk.ask(QUESTIONS[1], stop_after=2)  # the reader stopped listening
    talk.ask(QUESTIONS[2])
    del talk.messages[-4:]  # two turns taken back
    talk.ask(QUESTIONS[3])
    talk.messages[0] = Message(role="system", content=SYSTEM.upper())
    talk.ask(QUESTIONS[0])
    assert any(talk.reused)


@pytest.mark.parametrize(("dtype", "window"), CASES, ids=str)
def test_an_answer_that_is_rewound_forced_and_continued_has_the_logits_of_a_cold_prefill(
    tokenizer: Tokenizer, dtype: torch.dtype, window: object
) -> None:
    talk = chat(tokenizer, dtype, window)
    talk.messages.append(Message(role="system", content=SYSTEM))
    talk.ask(QUESTIONS[0], tokens=8)
    talk.go_on(8)
    talk.go_on(5)
    talk.go_on(3, 1000)
    talk.go_on(2, *tokenizer.encode("In short, "))
    talk.ask(QUESTIONS[1])
    talk.go_on(1)
    assert all(talk.reused[1:4]) or window is not None


def test_going_on_computes_nothing_twice(tokenizer: Tokenizer) -> None:
    talk = chat(tokenizer, torch.float64, None)
    talk.ask(QUESTIONS[0], tokens=8)
    asked = talk.backend.count(talk.messages[:1])
    for kept, reused in ((8, 7), (12, 11), (5, 4), (3, 2)):
        talk.go_on(kept)
        assert talk.reused[-1] == asked + reused


def test_without_a_system_prompt_only_the_new_turn_is_read(tokenizer: Tokenizer) -> None:
    talk = chat(tokenizer, torch.float64, None)
    talk.ask(QUESTIONS[0], tokens=6)
    for question in QUESTIONS[1:]:
        before = talk.backend.count(talk.messages[:-1])
        talk.ask(question, tokens=6)
        assert talk.reused[-1] == before + 5  # the last id drawn and EOS were never computed


def test_a_prompt_that_is_asked_again_reads_one_token(tokenizer: Tokenizer) -> None:
    talk = chat(tokenizer, torch.float64, None)
    talk.ask(QUESTIONS[0])
    del talk.messages[-2:]
    talk.ask(QUESTIONS[0])
    assert talk.reused[-1] == talk.backend.count(talk.messages[:1]) - 1


def test_a_chat_whose_window_rolled_goes_on_and_rewinds_as_a_cold_one(tokenizer: Tokenizer) -> None:
    talk = chat(tokenizer, torch.float64, (16, None), chunk=256)
    talk.ask(LONG)
    talk.ask(QUESTIONS[1])
    assert talk.reused[-1] > 500
    del talk.messages[1:]
    talk.messages[0] = Message(role="user", content=LONG[: len(LONG) // 2])
    events = talk.ask(QUESTIONS[2])
    assert talk.reused[-1] == 0
    assert any(isinstance(event, Notice) and "sliding window" in event.text for event in events)
