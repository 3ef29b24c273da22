"""What the native back end says: what is shown is what was drawn, how it ends, in which format it was asked."""

from __future__ import annotations

import shutil
import threading
from typing import TYPE_CHECKING

import pytest
from native_answers import ASK, GREEDY, answer, shown

from mistral_cli.backends.native import load_native
from mistral_cli.contract import Done, Message, Notice, PrefillProgress, TextDelta
from mistral_cli.errors import UsageError
from mistral_cli.text.tokenizer_files import carried_file
from tiny_checkpoint import edit_config, write_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    from mistral_cli.backends.native import NativeBackend


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def backend(folder: Path) -> NativeBackend:
    return load_native(folder, name="tiny", device="cpu")


def test_what_was_shown_is_the_answer_and_what_the_ids_decode_to(backend: NativeBackend) -> None:
    for seed in range(20):
        text, done, _ = answer(backend, temperature=2, top_p=1, seed=seed, max_tokens=30)
        assert text == done.text == backend.tokenizer.decode(done.ids)


def test_every_token_comes_with_its_delta(backend: NativeBackend) -> None:
    _, done, events = answer(backend)
    deltas = [event for event in events if isinstance(event, TextDelta)]
    assert [token.id for delta in deltas for token in delta.tokens] == list(done.ids)
    assert all(len(delta.tokens) == 1 for delta in deltas if delta is not deltas[-1])


def test_the_end_carries_the_engines_figures(backend: NativeBackend) -> None:
    _, done, events = answer(backend, seed=5)
    assert any(isinstance(event, PrefillProgress) for event in events)
    assert (done.reason, done.answer_tokens, done.seed, done.stop) == ("length", 12, 5, None)
    assert done.seconds_to_first_token > 0
    assert done.tokens_per_second > 0
    assert done.peak_memory > 0


def test_the_next_turn_reuses_the_cache_of_the_ids_that_were_drawn(backend: NativeBackend) -> None:
    text, done, _ = answer(backend)
    told = Message(role="assistant", content=text, ids=done.ids)
    _, again, _ = answer(backend, (*ASK, told, Message(role="user", content="And then?")))
    assert again.reused_tokens == done.prompt_tokens + done.answer_tokens - 1


def test_a_stop_string_ends_the_answer_and_is_not_shown(backend: NativeBackend) -> None:
    whole, all_of_it, _ = answer(backend)
    stop = whole[len(whole) // 2 :][:3]
    assert len(stop) == 3
    text, done, events = answer(backend, stop=(stop, "never said"))
    assert text == done.text == whole[: whole.index(stop)]
    assert (done.reason, done.stop) == ("stop", stop)
    assert done.ids == all_of_it.ids[: len(done.ids)]
    assert len(done.ids) < len(all_of_it.ids)
    assert sum(isinstance(event, Done) for event in events) == 1


def test_what_only_began_a_stop_string_is_shown_in_the_end(backend: NativeBackend) -> None:
    whole, _, _ = answer(backend)
    text, done, _ = answer(backend, stop=(whole[-3:] + "and more",))
    assert text == done.text == whole
    assert done.reason == "length"


def test_an_answer_that_is_eos_at_once_is_empty(backend: NativeBackend) -> None:
    text, done, events = answer(backend, logit_bias={backend.tokenizer.eos_id: 1e4})
    assert (text, done.text, done.ids, done.reason) == ("", "", (), "stop")
    assert done.answer_tokens == 1
    assert not any(isinstance(event, TextDelta) for event in events)
    assert answer(backend)[1].answer_tokens == 12


def test_a_cancelled_answer_keeps_what_was_said(backend: NativeBackend) -> None:
    flag = threading.Event()
    events = []
    for event in backend.stream(ASK, GREEDY, cancel=flag):
        events.append(event)
        if sum(isinstance(event, TextDelta) for event in events) == 4:
            flag.set()
    done = events[-1]
    assert (done.reason, len(done.ids)) == ("cancelled", 4)
    assert done.text == shown(events) == backend.tokenizer.decode(done.ids)


def test_closing_the_answer_closes_the_engines(backend: NativeBackend) -> None:
    events = backend.stream(ASK, GREEDY)
    while not isinstance(next(events), TextDelta):
        pass
    running = backend.engine._running
    assert running.gi_frame is not None
    events.close()
    assert running.gi_frame is None


def test_logprobs_come_with_the_texts_of_their_tokens(backend: NativeBackend) -> None:
    _, _, events = answer(backend, logprobs=3, max_tokens=2)
    tokens = [token for event in events if isinstance(event, TextDelta) for token in event.tokens]
    for token in tokens:
        assert token.logprob == token.top[0][2]
        assert [text for _, text, _ in token.top] == [
            backend.tokenizer.piece_bytes(number).decode(errors="replace") for number, _, _ in token.top
        ]


def test_a_control_token_is_shown_in_logprobs_by_its_name_and_in_the_answer_not_at_all(backend: NativeBackend) -> None:
    text, _, events = answer(backend, logprobs=1, max_tokens=1, logit_bias={3: 1e4})
    assert text == ""
    assert next(event for event in events if isinstance(event, TextDelta)).tokens[0].text == "[INST]"


# -- other chat formats -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose tokenizer files can be changed."""
    folder = write_checkpoint(tmp_path_factory.mktemp("other"))
    edit_config(folder, mistral_cli_tokenizer=None)
    shutil.copy(carried_file("v3"), folder / "tokenizer.model.v3")
    return folder


def test_a_base_model_goes_on_from_text_and_refuses_a_chat(other: Path) -> None:
    edit_config(other, "tokenizer_config.json", chat_template=None)
    base = load_native(other, name="base", device="cpu")
    assert base.info.is_base
    assert answer(base, "Once upon a time")[1].prompt_tokens == len(base.tokenizer.encode("Once upon a time")) + 1
    with pytest.raises(UsageError, match="base model"):
        base.stream(ASK, GREEDY)


def test_a_foreign_chat_format_is_served_and_said(other: Path) -> None:
    template = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}\n{% endfor %}<|assistant|>"
    edit_config(other, "tokenizer_config.json", chat_template=template, bos_token="<s>", eos_token="</s>")
    foreign = load_native(other, name="foreign", device="cpu")
    _, done, events = answer(foreign)
    assert foreign.info.tokenizer == "template"
    assert isinstance(events[0], Notice)
    assert "template" in events[0].text
    assert "<|user|>What is a sliding window?" in foreign.tokenizer.decode(foreign.encode(ASK))
    assert done.answer_tokens == 12
