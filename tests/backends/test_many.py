"""Many prompts to the built-in guide in four bits: what each is answered is what it is answered alone, to the id."""

from __future__ import annotations

import shutil
import threading
from typing import TYPE_CHECKING

import pytest

from fakes import FakeBackend
from lora_files import write_adapter
from mistral_cli.backends.many import Request, SideBySide, stream_many
from mistral_cli.backends.native import NativeBackend, load_native
from mistral_cli.contract import Done, Message, Notice, PrefillProgress, SamplingParams, TextDelta
from mistral_cli.errors import ContextError, MistralError, OutOfMemoryError, UsageError
from mistral_cli.text.tokenizer_files import carried_file
from mistral_cli.weights.hub import builtin_path
from tiny_checkpoint import edit_config, write_checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from mistral_cli.contract import Event

TOPICS = ("a KV cache", "LoRA", "a sliding window", "NF4", "the system prompt", "RoPE", "a token", "the context")
FORMS = (
    "What is {}?",
    "{}",
    "Tell me, please, in a few words, what {} is and what it is good for.",
    "Explain {} again.",
)
GREEDY = SamplingParams(temperature=0, max_tokens=24)


@pytest.fixture(scope="module")
def backend() -> NativeBackend:
    return load_native(builtin_path(), name="builtin", device="cpu", quantize="nf4")


def chats(count: int, system: str = "") -> list[tuple[Message, ...]]:
    """Return conversations of very unequal length."""
    made = []
    for number in range(count):
        text = FORMS[number % len(FORMS)].format(TOPICS[number % len(TOPICS)]) + " really" * (number * 13 % 50)
        user = Message(role="user", content=text)
        made.append((Message(role="system", content=system), user) if system else (user,))
    return made


def collect(backend: NativeBackend, requests: Iterable[Request], rows: int | None = None) -> dict[int, list]:
    events: dict[int, list] = {}
    for index, event in stream_many(backend, requests, rows=rows):
        events.setdefault(index, []).append(event)
    return events


def alone(backend: NativeBackend, request: Request) -> Done:
    backend.engine._kept.forget()
    *_, done = backend.stream(request.prompt, request.params)
    assert isinstance(done, Done)
    return done


def shown(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def test_with_an_adapter_each_is_answered_what_it_is_answered_alone_with_it(
    backend: NativeBackend, tmp_path: Path
) -> None:
    requests = [Request(prompt=prompt, params=GREEDY) for prompt in chats(12)]
    bare = {index: events[-1].ids for index, events in collect(backend, requests).items()}
    backend.adapters.load(write_adapter(tmp_path / "mine", backend.engine.model.args), 3)
    try:
        together = {index: events[-1].ids for index, events in collect(backend, requests).items()}
        assert together == {index: alone(backend, request).ids for index, request in enumerate(requests)}
        assert together != bare
    finally:
        backend.adapters.off()
    assert {index: events[-1].ids for index, events in collect(backend, requests).items()} == bare


def test_forty_eight_prompts_of_unequal_length_get_the_ids_they_get_alone(backend: NativeBackend) -> None:
    """Every second one greedily, beside others that are drawn."""
    requests = [
        Request(
            prompt=prompt,
            params=SamplingParams(temperature=number % 2 * 0.9, seed=number, max_tokens=4 + number * 7 % 33, top_k=40),
        )
        for number, prompt in enumerate(chats(48))
    ]
    together = collect(backend, requests, rows=8)
    assert len({len(events) for events in together.values()}) > 5
    for number, request in enumerate(requests):
        done, expected = together[number][-1], alone(backend, request)
        assert done.ids == expected.ids
        assert (done.text, done.reason, done.seed) == (expected.text, expected.reason, expected.seed)
        assert shown(together[number]) == done.text


def test_a_system_prompt_in_common_is_read_once_and_changes_no_id(backend: NativeBackend) -> None:
    system = "You are brief, exact and polite. " * 6
    requests = [Request(prompt=prompt, params=GREEDY) for prompt in chats(12, system)]
    backend.engine._kept.forget()
    together = collect(backend, requests, rows=4)
    reused = [together[number][-1].reused_tokens for number in range(12)]
    assert reused[0] == 0
    assert min(reused[1:]) > 50
    for number, request in enumerate(requests):
        assert together[number][-1].ids == alone(backend, request).ids


def test_each_answer_has_its_own_stop_strings(backend: NativeBackend) -> None:
    prompts = chats(6)
    whole = [alone(backend, Request(prompt=prompt, params=GREEDY)).text for prompt in prompts]
    stops = [text[len(text) // 2 :][:3] if number % 2 else "" for number, text in enumerate(whole)]
    requests = [
        Request(prompt=prompt, params=GREEDY.with_values({"stop": (stop,) if stop else ()}))
        for prompt, stop in zip(prompts, stops, strict=True)
    ]
    together = collect(backend, requests)
    for number, (text, stop) in enumerate(zip(whole, stops, strict=True)):
        done = together[number][-1]
        assert done.text == shown(together[number]) == (text[: text.index(stop)] if stop else text)
        assert done.stop == (stop or None)


def test_what_one_prompt_cannot_be_is_told_under_its_number(backend: NativeBackend) -> None:
    good = Request(prompt=chats(1)[0], params=GREEDY)
    requests = [
        good,
        Request(prompt=(Message(role="user", content="word " * 9000),), params=GREEDY),
        Request(prompt=(Message(role="assistant", content="I begin."),), params=GREEDY),
        good,
    ]
    together = collect(backend, requests)
    assert isinstance(together[1][-1], ContextError)
    assert isinstance(together[2][-1], UsageError)
    assert together[0][-1].ids == together[3][-1].ids == alone(backend, good).ids


def test_one_flag_ends_its_answer_and_leaves_the_others(backend: NativeBackend) -> None:
    flag = threading.Event()
    prompts = chats(3)
    requests = [Request(prompt=prompt, params=GREEDY) for prompt in prompts]
    requests[1] = Request(prompt=prompts[1], params=GREEDY, cancel=flag)
    events: dict[int, list] = {}
    for index, event in backend.stream_many(requests):
        events.setdefault(index, []).append(event)
        if index == 1 and isinstance(event, TextDelta):
            flag.set()
    assert (events[1][-1].reason, len(events[1][-1].ids)) == ("cancelled", 1)
    assert events[0][-1].ids == alone(backend, requests[0]).ids


def test_a_row_is_told_what_its_stream_would_be_told(backend: NativeBackend) -> None:
    request = Request(prompt=chats(1)[0], params=GREEDY.with_values({"logprobs": 2}))
    backend.engine._kept.forget()
    together = collect(backend, [request, request])
    backend.engine._kept.forget()
    expected = list(backend.stream(request.prompt, request.params))
    assert [type(event) for event in together[0]] == [type(event) for event in expected]
    assert together[0][:-1] == expected[:-1]
    assert isinstance(expected[0], PrefillProgress)


def test_one_row_at_most_is_one_after_the_other(backend: NativeBackend) -> None:
    order = [
        index
        for index, _ in stream_many(
            backend, [None, *(Request(prompt=prompt, params=GREEDY) for prompt in chats(3)), None], rows=1
        )
    ]
    assert order == sorted(order)
    assert set(order) == {0, 1, 2}


class _OneAtATime:
    """A back end that knows nothing of batches."""

    def __init__(self, backend: NativeBackend) -> None:
        self.stream, self.info, self.defaults, self.count = (
            backend.stream,
            backend.info,
            backend.defaults,
            backend.count,
        )


def test_a_back_end_without_batches_is_asked_one_after_the_other(backend: NativeBackend) -> None:
    simple = _OneAtATime(backend)
    assert isinstance(backend, SideBySide)
    assert not isinstance(simple, SideBySide)
    bad = Request(prompt=(), params=GREEDY)
    good = [Request(prompt=prompt, params=GREEDY) for prompt in chats(2)]
    events: dict[int, list] = {}
    for index, event in stream_many(simple, [good[0], bad, good[1]]):
        events.setdefault(index, []).append(event)
    assert isinstance(events[1][-1], MistralError)
    assert [events[number][-1].ids for number in (0, 2)] == [alone(backend, request).ids for request in good]


def test_memory_that_runs_out_for_one_prompt_leaves_those_that_are_answered_after_it() -> None:
    backend = FakeBackend(answers=("all right",), error=OutOfMemoryError("No memory.", "Use a shorter one."))

    def requests() -> Iterator[Request]:
        for pieces in (5, 0, 5):  # more than an answer has: all goes well
            backend.fails_after = pieces
            yield Request(prompt=chats(1)[0], params=GREEDY)

    ends = dict(stream_many(backend, requests()))  # the last event of each
    assert [type(end) for end in ends.values()] == [Done, OutOfMemoryError, Done]


def test_the_notice_of_a_foreign_format_comes_first_and_once(tmp_path: Path) -> None:
    write_checkpoint(tmp_path)
    edit_config(tmp_path, mistral_cli_tokenizer=None)
    shutil.copy(carried_file("v3"), tmp_path / "tokenizer.model.v3")
    template = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}\n{% endfor %}<|assistant|>"
    edit_config(tmp_path, "tokenizer_config.json", chat_template=template, bos_token="<s>", eos_token="</s>")
    foreign = load_native(tmp_path, name="foreign", device="cpu")
    together = collect(foreign, [Request(prompt=prompt, params=GREEDY) for prompt in chats(3)])
    for events in together.values():
        assert isinstance(events[0], Notice)
        assert sum(isinstance(event, Notice) for event in events) == 1


def test_the_number_of_rows_that_was_asked_for_is_planned(tmp_path: Path) -> None:
    write_checkpoint(tmp_path)
    assert load_native(tmp_path, name="tiny", device="cpu").rows == 8
    assert load_native(tmp_path, name="tiny", device="cpu", batch=3).rows == 3
