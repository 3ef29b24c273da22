"""A folder becomes a back end: what it loads, what it refuses, and that what is shown is what was drawn."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch
from native_answers import ASK, GREEDY, answer

from mistral_cli.backends.native import load_native
from mistral_cli.contract import Message, TextDelta
from mistral_cli.engine import plan
from mistral_cli.errors import CheckpointError, ContextError, ModelNotFoundError, OutOfMemoryError, UsageError
from mistral_cli.measure.random_model import RandomModel, write_random_model
from mistral_cli.model.args import MoeArgs
from mistral_cli.text.template import encode_chat
from mistral_cli.text.tokenizer_files import carried_file
from tiny_checkpoint import edit_config, tiny_args, write_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    from mistral_cli.backends.native import NativeBackend


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def backend(folder: Path) -> NativeBackend:
    return load_native(folder, name="tiny", device="cpu")


# -- what is loaded ---------------------------------------------------------------------------------------------------


def test_the_info_says_what_was_loaded(folder: Path, backend: NativeBackend) -> None:
    info = backend.info
    assert (info.name, info.path, info.dtype, info.device) == ("tiny", str(folder), "float32", "cpu")
    assert (info.context, info.tokenizer, info.is_base) == (256, "v3", False)
    assert info.parameters == sum(weight.numel() for weight in backend.engine.model.parameters())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float16])
def test_the_dtype_is_the_checkpoints_own(tmp_path: Path, dtype: torch.dtype) -> None:
    loaded = load_native(write_checkpoint(tmp_path, dtype=dtype), name="tiny", device="cpu")
    assert loaded.engine.model.dtype == dtype
    assert loaded.info.dtype == str(dtype).removeprefix("torch.")
    assert answer(loaded)[1].answer_tokens == 12


def test_another_dtype_can_be_asked_for(folder: Path) -> None:
    loaded = load_native(folder, name="tiny", device="cpu", dtype="float64")
    assert (loaded.info.dtype, loaded.engine.model.dtype) == ("float64", torch.float64)


def test_the_context_can_be_asked_for(folder: Path) -> None:
    assert load_native(folder, name="tiny", device="cpu", context=100).info.context == 100


def test_defaults_and_eos_ids_come_from_the_generation_config(tmp_path: Path) -> None:
    first = answer(load_native(write_checkpoint(tmp_path), name="tiny", device="cpu"))[1].ids
    edit_config(tmp_path, "generation_config.json", temperature=0.2, eos_token_id=[2, first[3]])
    loaded = load_native(tmp_path, name="tiny", device="cpu")
    _, done, _ = answer(loaded)
    assert loaded.defaults == {"temperature": 0.2}
    assert done.ids == first[: first.index(first[3])]
    assert (done.reason, done.answer_tokens) == ("stop", len(done.ids) + 1)


def test_a_template_version_can_be_asked_for(folder: Path) -> None:
    assert load_native(folder, name="tiny", device="cpu", template="v2").info.tokenizer == "v2"


def test_mistrals_own_format_answers_as_hugging_faces_does(tmp_path: Path) -> None:
    answers = []
    for layout in ("huggingface", "mistral"):
        folder = tmp_path / layout
        model = RandomModel(args=tiny_args(), dtype=torch.float32, layout=layout)
        write_random_model(folder, model)
        shutil.copy(carried_file("v3"), folder / "tokenizer.model.v3")
        answers.append(answer(load_native(folder, name=layout, device="cpu"))[1].ids)
    assert answers[0] == answers[1]


def test_a_mixture_of_experts_answers(tmp_path: Path) -> None:
    args = replace(tiny_args(), tie_word_embeddings=False, moe=MoeArgs(num_experts=4, num_experts_per_tok=2))
    _, done, _ = answer(load_native(write_checkpoint(tmp_path, args=args), name="tiny", device="cpu"))
    assert done.answer_tokens == 12


# -- what is refused --------------------------------------------------------------------------------------------------


def test_a_folder_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError):
        load_native(tmp_path / "nothing", name="nothing")


def test_a_tokenizer_with_more_pieces_than_embeddings_is_refused(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, args=tiny_args(vocab_size=32000))
    with pytest.raises(CheckpointError, match=r"32,768 pieces.*32,000") as caught:
        load_native(tmp_path, name="tiny")
    assert caught.value.exit_code == 4


def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    write_checkpoint(tmp_path)
    edit_config(tmp_path, mistral_cli_tokenizer=None)
    with pytest.raises(CheckpointError, match="no tokenizer"):
        load_native(tmp_path, name="tiny")


def test_a_model_that_does_not_fit_is_refused_before_its_weights_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_checkpoint(tmp_path)
    weights = tmp_path / "model.safetensors"
    with weights.open("r+b") as file:  # the header stays, so only reading the weights would notice
        file.seek(weights.stat().st_size - 4000)
        file.write(b"\xff" * 4000)
    monkeypatch.setattr(plan, "host_free", lambda: 1_000_000)
    with pytest.raises(OutOfMemoryError, match=r"needs [\d,]+ bytes .* 1,000,000 are free") as caught:
        load_native(tmp_path, name="tiny", device="cpu")
    assert caught.value.exit_code == 5


@pytest.mark.parametrize(
    "wrong", [{"device": "cuda:9"}, {"device": "abacus"}, {"dtype": "int4"}, {"context": 257}, {"template": "v99"}]
)
def test_what_cannot_be_is_refused_as_a_usage_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, object]
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(UsageError, match=f"--(chat-)?{next(iter(wrong))}"):
        load_native(folder, name="tiny", **wrong)


def test_float64_on_an_apple_gpu_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with pytest.raises(UsageError, match="Apple"):
        load_native(folder, name="tiny", device="mps", dtype="float64")


# -- prompts ----------------------------------------------------------------------------------------------------------


def test_messages_are_sent_in_the_models_chat_format(backend: NativeBackend) -> None:
    expected = encode_chat(backend.tokenizer, ASK).ids
    assert tuple(backend.encode(ASK)) == expected
    assert backend.count(ASK) == len(expected) == answer(backend)[1].prompt_tokens


def test_a_text_is_sent_as_it_is_after_bos(backend: NativeBackend) -> None:
    ids = backend.tokenizer.encode("Once upon a time [INST]")
    assert backend.encode("Once upon a time [INST]") == (1, *ids)
    assert backend.tokenizer.control_ids.isdisjoint(ids)


def test_a_text_keeps_the_first_space_of_its_continuation(backend: NativeBackend) -> None:
    (word,) = backend.tokenizer.encode("the")
    bias = {word: 1e4}
    assert answer(backend, "Once", max_tokens=1, logit_bias=bias)[0].startswith(" ")
    assert not answer(backend, ASK, max_tokens=1, logit_bias=bias)[0].startswith(" ")
    prefixed = (*ASK, Message(role="assistant", content="It is", prefix=True))
    assert answer(backend, prefixed, max_tokens=1, logit_bias=bias)[0].startswith(" ")


def test_a_prefix_is_in_the_prompt_and_not_in_the_answer(backend: NativeBackend) -> None:
    prefixed = (*ASK, Message(role="assistant", content="It is", prefix=True))
    ids = backend.encode(prefixed)
    assert ids[-2:] == tuple(backend.tokenizer.encode("It is"))
    assert answer(backend, prefixed)[1].prompt_tokens == len(ids)


def test_an_answer_goes_on_from_its_very_ids_and_the_end_holds_the_continuation(backend: NativeBackend) -> None:
    whole, done, events = answer(backend)
    texts = [event.text for event in events if isinstance(event, TextDelta) and event.tokens]
    asked = backend.encode(ASK)
    for count in (1, 5, 11):
        prefix = Message(role="assistant", content="".join(texts[:count]), ids=done.ids[:count], prefix=True)
        assert backend.encode((*ASK, prefix)) == (*asked, *done.ids[:count])
        text, rest, _ = answer(backend, (*ASK, prefix), max_tokens=12 - count)
        assert rest.ids == done.ids[count:]
        assert rest.text == text
        assert prefix.content + text == whole
        assert rest.reused_tokens == rest.prompt_tokens - 1


def test_words_put_into_an_answer_are_shown_before_it_goes_on(backend: NativeBackend) -> None:
    _, done, events = answer(backend)
    begun = next(event.text for event in events if isinstance(event, TextDelta))
    ids = done.ids[:1] + backend.encode_words(" In short,", begins=False)
    prefix = Message(role="assistant", content=begun, ids=ids, prefix=True)
    text, rest, after = answer(backend, (*ASK, prefix), max_tokens=2)
    deltas = [event for event in after if isinstance(event, TextDelta)]
    assert (deltas[0].text, deltas[0].tokens) == (" In short,", ())
    assert text.startswith(" In short,")
    assert (rest.text, len(rest.ids)) == (text, 2)


def test_a_stop_string_may_begin_before_the_border(backend: NativeBackend) -> None:
    whole, done, events = answer(backend)
    texts = [event.text for event in events if isinstance(event, TextDelta) and event.tokens]
    stop = whole[len(texts[0]) - 1 : len(texts[0]) + 2]
    prefix = Message(role="assistant", content=texts[0], ids=done.ids[:1], prefix=True)
    text, rest, _ = answer(backend, (*ASK, prefix), stop=(stop,))
    assert (rest.stop, rest.reason, text) == (stop, "stop", "")


def test_a_conversation_that_the_format_cannot_express_is_refused(backend: NativeBackend) -> None:
    with pytest.raises(UsageError):
        backend.stream([Message(role="assistant", content="I begin.")], GREEDY)
    with pytest.raises(UsageError):
        backend.stream([], GREEDY)


def test_a_prompt_beyond_the_context_is_refused_with_both_numbers(backend: NativeBackend) -> None:
    long = (Message(role="user", content="word " * 300),)
    with pytest.raises(ContextError, match=rf"{backend.count(long)} tokens.*256") as caught:
        backend.stream(long, GREEDY)
    assert caught.value.exit_code == 6


def test_a_hopeless_prompt_is_refused_without_being_tokenized(backend: NativeBackend) -> None:
    with pytest.raises(ContextError, match=r"tokens or more, but the context holds 256"):
        backend.stream("x" * 50_000_000, GREEDY)
