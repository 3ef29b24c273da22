"""The same from Python: ``mistral_cli.load``, ``generate``, ``stream``, ``model``."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
import threading
from dataclasses import fields
from typing import TYPE_CHECKING

import pytest
import torch

import mistral_cli
from mistral_cli.api import LLM, SamplingOptions
from mistral_cli.contract import Done, Message, SamplingParams, TextDelta
from mistral_cli.errors import CheckpointError, ContextError, ModelNotFoundError, UsageError
from mistral_cli.text.tokenizer_files import carried_file
from tiny_checkpoint import edit_config, write_checkpoint

if TYPE_CHECKING:
    from pathlib import Path

SHORT = {"temperature": 0, "max_tokens": 10}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def llm(folder: Path) -> LLM:
    return mistral_cli.load(str(folder), device="cpu")


def test_the_package_gives_what_the_readme_imports() -> None:
    assert mistral_cli.SamplingParams is SamplingParams
    assert mistral_cli.Message is Message
    assert mistral_cli.LLM is LLM


def test_importing_the_package_imports_no_torch() -> None:
    code = "import sys, mistral_cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_options_of_generate_are_the_sampling_parameters() -> None:
    assert list(SamplingOptions.__annotations__) == [field.name for field in fields(SamplingParams)]


def test_a_text_is_a_users_message(llm: LLM) -> None:
    text = llm.generate("What is RoPE?", **SHORT)
    assert text
    assert text == llm.generate([Message(role="user", content="What is RoPE?")], **SHORT)
    assert text == llm.generate([{"role": "user", "content": "What is RoPE?"}], **SHORT)


def test_a_list_of_texts_gives_a_list_of_answers(llm: LLM) -> None:
    questions = ["What is RoPE?", "What is NF4?", "What is LoRA?"]
    answers = llm.generate(questions, **SHORT)
    assert answers == [llm.generate(question, **SHORT) for question in questions]
    assert len(set(answers)) == 3
    assert llm.generate([], **SHORT) == []


def test_a_list_of_conversations_gives_a_list_of_answers(llm: LLM) -> None:
    chats = [
        [{"role": "user", "content": "What is RoPE?"}],
        (Message(role="system", content="Be brief."), Message(role="user", content="What is NF4?")),
    ]
    assert llm.generate(chats, **SHORT) == [llm.generate(chat, **SHORT) for chat in chats]


def test_a_seed_gives_each_of_a_list_what_it_gives_it_alone(llm: LLM) -> None:
    questions = ["What is RoPE?", "What is NF4?", "What is RoPE?"] * 4
    how = {"temperature": 1.5, "seed": 7, "max_tokens": 10}
    answers = llm.generate(questions, **how)
    assert answers == [llm.generate(question, **how) for question in questions]
    assert len(set(answers)) == 2


def test_many_prompts_may_have_parameters_of_their_own(llm: LLM) -> None:
    params = [SamplingParams(temperature=0, max_tokens=number + 1) for number in range(3)]
    ends = {
        index: event
        for index, event in llm.stream_many(["What is RoPE?", [], "What is NF4?"], params)
        if isinstance(event, Done | UsageError)
    }
    assert isinstance(ends[1], UsageError)
    assert (len(ends[0].ids), len(ends[2].ids)) == (1, 3)
    with pytest.raises(UsageError):
        llm.generate([[{"role": "user", "content": "What is RoPE?"}], []], **SHORT)


def test_many_prompts_are_taken_as_there_is_room_for_them(folder: Path) -> None:
    narrow, taken = mistral_cli.load(str(folder), device="cpu", batch=2), []
    endless = (taken.append(number) or f"What is {number}?" for number in itertools.count())
    replies = narrow.stream_many(endless, SamplingParams(**SHORT))
    assert next(index for index, event in replies if isinstance(event, Done)) in (0, 1)
    assert taken == [0, 1]
    replies.close()


def test_a_flag_ends_many_answers(llm: LLM) -> None:
    flag = threading.Event()
    flag.set()
    ends = [event for _, event in llm.stream_many(["Hello", "there"], cancel=flag)]
    assert [end.reason for end in ends] == ["cancelled"] * 2


def test_a_conversation_gives_one_answer(llm: LLM) -> None:
    chat = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is RoPE?"},
        Message(role="assistant", content="A rotary embedding."),
        {"role": "user", "content": "And NF4?"},
    ]
    answer = llm.generate(chat, **SHORT)
    assert isinstance(answer, str)
    assert answer != llm.generate(chat[:2], **SHORT)


def test_stream_yields_events_whose_texts_are_the_answer(llm: LLM) -> None:
    events = list(llm.stream("What is RoPE?", SamplingParams(**SHORT)))
    done = events[-1]
    assert isinstance(done, Done)
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == done.text
    assert done.text == llm.generate("What is RoPE?", **SHORT)


def test_one_stop_string_may_be_given_without_a_list(llm: LLM) -> None:
    whole = llm.generate("What is RoPE?", **SHORT)
    stop = whole[4:7]
    stopped = llm.generate("What is RoPE?", stop=stop, **SHORT)
    assert stopped == whole[: whole.index(stop)] == llm.generate("What is RoPE?", stop=[stop], **SHORT)


def test_the_model_gives_logits_and_a_cache_to_go_on_with(llm: LLM) -> None:
    tokens = torch.tensor([llm.tokenizer.encode("What is a KV cache?", bos=True)])
    whole, _ = llm.model(tokens)
    first, cache = llm.model(tokens[:, :4])
    rest, _ = llm.model(tokens[:, 4:], cache)
    assert whole.shape == (*tokens.shape, 32768)
    torch.testing.assert_close(torch.cat((first, rest), 1), whole)


def test_the_info_says_what_is_loaded(llm: LLM, folder: Path) -> None:
    assert (llm.info.name, llm.info.path, llm.info.tokenizer) == (str(folder), str(folder), "v3")


def test_loading_takes_dtype_and_context(folder: Path) -> None:
    info = mistral_cli.load(str(folder), device="cpu", dtype="float64", context=99).info
    assert (info.dtype, info.context) == ("float64", 99)


def test_loading_takes_a_quantization_or_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    assert mistral_cli.load("builtin", device="cpu", quantize="nf4").info.quantization == "nf4"
    monkeypatch.setenv("MISTRAL_CLI_QUANTIZE", "int4")
    assert mistral_cli.load("builtin", device="cpu").info.quantization == "int4"


def test_what_is_not_given_comes_from_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MISTRAL_CLI_MODEL", str(folder))
    monkeypatch.setenv("MISTRAL_CLI_DEVICE", "cpu")
    monkeypatch.setenv("MISTRAL_CLI_TEMPERATURE", "0.25")
    loaded = mistral_cli.load()
    assert loaded.info.path == str(folder)
    assert loaded.defaults == SamplingParams(temperature=0.25)


def test_the_models_own_defaults_count_below_the_environments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_checkpoint(tmp_path)
    edit_config(tmp_path, "generation_config.json", temperature=0.1, top_p=0.5)
    monkeypatch.setenv("MISTRAL_CLI_TEMPERATURE", "0.25")
    assert mistral_cli.load(str(tmp_path), device="cpu").defaults == SamplingParams(temperature=0.25, top_p=0.5)


def test_an_unknown_setting_is_a_warning(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MISTRAL_CLI_TEMPRATURE", "0.25")
    with pytest.warns(UserWarning, match="MISTRAL_CLI_TEMPERATURE"):
        mistral_cli.load(str(folder), device="cpu")


def test_a_model_that_is_not_on_the_disk_names_the_command_that_fetches_it() -> None:
    with pytest.raises(ModelNotFoundError, match=r"mistral pull mistralai/Mistral-7B-v0\.1"):
        mistral_cli.load("mistralai/Mistral-7B-v0.1")


def test_what_is_wrong_is_raised_as_one_of_our_errors(llm: LLM, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--temperature"):
        llm.generate("Hello", temperature=-1)
    with pytest.raises(UsageError, match="no option 'temprature'"):
        llm.generate("Hello", temprature=1)
    with pytest.raises(UsageError, match=r"messages\[1\]\.role"):
        llm.generate([{"role": "user", "content": "Hello"}, {"role": "robot", "content": "Beep"}])
    with pytest.raises(UsageError, match="must be an object"):
        llm.generate([{"role": "user", "content": "Hello"}, "Hello"])
    with pytest.raises(ContextError):
        llm.generate("word " * 300)
    with pytest.raises(CheckpointError):
        mistral_cli.load(str(tmp_path))


def test_a_base_model_goes_on_from_the_text(tmp_path: Path) -> None:
    write_checkpoint(tmp_path)
    edit_config(tmp_path, mistral_cli_tokenizer=None)
    edit_config(tmp_path, "tokenizer_config.json", bos_token="<s>")
    shutil.copy(carried_file("v3"), tmp_path / "tokenizer.model.v3")
    base = mistral_cli.load(str(tmp_path), device="cpu")
    done = list(base.stream("Once upon a time", SamplingParams(**SHORT)))[-1]
    assert done.prompt_tokens == 1 + len(base.tokenizer.encode("Once upon a time"))
    assert base.generate("Once upon a time", **SHORT) == done.text
