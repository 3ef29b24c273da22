"""What comes out: text, JSON, a code block, statistics, notices."""

from __future__ import annotations

import json
import os
import signal

import pytest
from gen_runs import ask

from fakes import FakeBackend, fake_console
from mistral_cli.contract import SamplingParams
from mistral_cli.errors import ContextError, MistralError, UsageError


def test_stdout_is_the_answer_and_one_newline() -> None:
    run = ask(prompt="P", backend=FakeBackend(answers=["Two words\n"]))
    assert (run.code, run.out, run.err) == (0, "Two words\n\n", "")


def test_each_piece_is_out_before_the_next_is_computed() -> None:
    seen: list[str] = []
    console = fake_console()
    backend = FakeBackend(answers=["one two three"])
    backend.before_piece = lambda _number, _cancel: seen.append(console.out.file.text)
    ask(prompt="P", backend=backend, console=console)
    assert seen == ["", "one ", "one two "]


def test_an_empty_answer_is_said_on_stderr_and_is_no_error() -> None:
    run = ask(prompt="P", backend=FakeBackend(answers=[[]]))
    assert (run.code, run.out, run.err) == (0, "\n", "(empty answer)\n")


def test_notices_go_to_stderr_and_quiet_silences_them() -> None:
    assert ask(prompt="P", backend=FakeBackend(notices=["Careful."])).err == "Careful.\n"
    quiet = ask(prompt="P", backend=FakeBackend(notices=["Careful."]), console=fake_console(quiet=True), quiet=True)
    assert quiet.err == ""


def test_json_is_one_object_that_tells_everything() -> None:
    run = ask(prompt="P", json=True, seed=11, temperature=0.5, stop=["x"], logit_bias=["3=-1"])
    assert run.out.count("\n") == 1
    told = json.loads(run.out)
    assert told["text"] == "Hello there, friend."
    assert told["tokens"] == {"prompt": 1, "reused": 0, "answer": 3}
    assert told["reason"] == "stop"
    assert told["timings"] == {"seconds_to_first_token": 0.25, "tokens_per_second": 40.0}
    assert told["model"]["name"] == "fake"
    assert told["parameters"]["temperature"] == 0.5
    assert told["parameters"]["seed"] == 11
    assert told["parameters"]["stop"] == ["x"]
    assert told["parameters"]["logit_bias"] == {"3": -1.0}
    assert "logprobs" not in told


def test_json_holds_the_seed_that_was_drawn() -> None:
    assert json.loads(ask(prompt="P", json=True).out)["parameters"]["seed"] == 5


def test_json_holds_log_probabilities_when_they_are_asked_for() -> None:
    told = json.loads(ask(prompt="P", json=True, logprobs=1).out)
    assert told["logprobs"][0] == {
        "id": 0,
        "text": "Hello ",
        "logprob": -0.5,
        "top": [{"id": 0, "text": "Hello ", "logprob": -0.5}],
    }
    assert len(told["logprobs"]) == 3


def test_log_probabilities_without_json_are_refused_before_anything_is_loaded() -> None:
    with pytest.raises(UsageError, match="--logprobs needs --json"):
        ask(prompt="P", logprobs=3)


def test_statistics_go_to_stderr_even_when_quiet() -> None:
    for quiet in (False, True):
        run = ask(prompt="P", stats=True, console=fake_console(quiet=quiet), quiet=quiet)
        assert run.out == "Hello there, friend.\n"
        assert "answer 3 tokens · first after 0.25 s · 40.0 tokens/s" in run.err


CODE = "Sure:\n\n```python\nx = 1\n```\n\nand\n\n```\ny\n```\n"


def test_extract_prints_only_the_first_code_block() -> None:
    run = ask(prompt="P", extract=True, backend=FakeBackend(answers=[CODE]))
    assert run.out == "x = 1\n"


def test_extract_without_a_code_block_fails_and_prints_nothing() -> None:
    console = fake_console()
    with pytest.raises(MistralError, match="no fenced code block") as caught:
        ask(prompt="P", extract=True, console=console)
    assert caught.value.exit_code == 1
    assert console.out.file.text == ""


def test_extract_with_json_gives_both() -> None:
    told = json.loads(ask(prompt="P", extract=True, json=True, backend=FakeBackend(answers=[CODE])).out)
    assert (told["code"], told["text"]) == ("x = 1\n", CODE)


def test_markdown_is_rendered_on_a_terminal_and_left_alone_in_a_pipe() -> None:
    backend = {"answers": ["# Head\n\n*a*  \n"]}
    screen = ask(prompt="P", markdown=True, backend=FakeBackend(**backend), console=fake_console(terminal=True))
    assert "#" not in screen.out
    assert "Head" in screen.out
    pipe = ask(prompt="P", markdown=True, backend=FakeBackend(**backend))
    assert pipe.out == "# Head\n\n*a*  \n\n"


def test_the_answer_is_safe_on_a_terminal_in_every_form() -> None:
    evil = "a \x1b]52;c;eA==\x07 \u202e b"
    for flags in ({}, {"json": True}, {"markdown": True}):
        run = ask(prompt="P", backend=FakeBackend(answers=[evil]), console=fake_console(terminal=True), **flags)
        assert "\x1b]" not in run.out
        assert "\u202e" not in run.out


def test_what_the_user_set_beats_the_model_which_beats_the_program() -> None:
    backend = FakeBackend(defaults={"temperature": 0.15, "top_k": 20, "unheard_of": 1})
    ask(prompt="P", backend=backend, temperature=1.5)
    assert backend.params == [SamplingParams(temperature=1.5, top_k=20, top_p=0.95)]


def test_nobody_set_anything() -> None:
    assert ask(prompt="P").backend.params == [SamplingParams(temperature=0.7, top_p=0.95)]


def test_an_empty_stop_string_is_refused_before_anything_is_loaded() -> None:
    with pytest.raises(UsageError, match=r"--stop is '', but must be text of one character or more"):
        ask(prompt="P", stop=[""])


def test_a_prompt_longer_than_the_context_prints_nothing() -> None:
    console = fake_console()
    with pytest.raises(ContextError, match="100 tokens, but the context holds 64"):
        ask(prompt="w " * 100, console=console)
    assert console.out.file.text == ""


def test_what_came_before_an_error_stays_and_its_line_is_ended() -> None:
    console = fake_console()
    with pytest.raises(MistralError, match="NaN"):
        ask(prompt="P", backend=FakeBackend(error=MistralError("NaN."), fails_after=2), console=console)
    assert console.out.file.text == "Hello there, \n"


def test_json_prints_no_half_object_when_it_fails() -> None:
    console = fake_console()
    with pytest.raises(MistralError, match="NaN"):
        ask(prompt="P", json=True, backend=FakeBackend(error=MistralError("NaN."), fails_after=2), console=console)
    assert console.out.file.text == ""


def test_an_answer_that_ends_at_max_tokens_is_not_called_a_full_context() -> None:
    run = ask(prompt="P", max_tokens=3, backend=FakeBackend(answers=["one two three"]))
    assert (run.out, run.err) == ("one two three\n", "")


def test_ctrl_c_prints_the_partial_answer_and_exits_130() -> None:
    backend = FakeBackend(answers=["one two three"])
    backend.before_piece = lambda number, _cancel: os.kill(os.getpid(), signal.SIGINT) if number == 2 else None
    run = ask(prompt="P", backend=backend)
    assert (run.code, run.out, run.err) == (130, "one two \n", "(stopped)\n")


def test_ctrl_c_with_json_prints_an_object_that_says_so() -> None:
    backend = FakeBackend(answers=["one two three"])
    backend.before_piece = lambda number, _cancel: os.kill(os.getpid(), signal.SIGINT) if number == 2 else None
    run = ask(prompt="P", json=True, backend=backend)
    assert run.code == 130
    assert json.loads(run.out)["reason"] == "cancelled"


def test_ctrl_c_before_the_code_block_is_no_second_error() -> None:
    backend = FakeBackend(answers=["one two three"])
    backend.before_piece = lambda number, _cancel: os.kill(os.getpid(), signal.SIGINT) if number == 2 else None
    run = ask(prompt="P", extract=True, backend=backend)
    assert (run.code, run.out) == (130, "")
