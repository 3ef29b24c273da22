"""``mistral tune``: what a training is given, what it leaves, and what is told of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import torch
from command_line import mistral
from tunings import CAPITALS, Tuning, write_capitals

from fakes import FakeTrainer, fake_console
from lora_files import write_adapter
from mistral_cli.tune.events import Evaluation
from mistral_cli.weights.config import read_args
from mistral_cli.weights.hub import builtin_path

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def tuning(tmp_path: Path) -> Tuning:
    return Tuning(folder=tmp_path / "mine", data=write_capitals(tmp_path))


def _put_adapter(folder: Path) -> None:
    """Leave an adapter that no model answers as before with."""
    written = write_adapter(folder.with_name("written"), read_args(builtin_path()))
    for file in written.iterdir():
        file.rename(folder / file.name)
    config = folder / "adapter_config.json"
    config.write_text(config.read_text().replace('"lora_alpha": 16', '"lora_alpha": 400'))


def test_rows_kept_apart_are_never_trained_on(tuning: Tuning) -> None:
    assert tuning.run(eval_split=0.4) == 0
    job = tuning.trainer.jobs[0]
    assert (len(job.train), len(job.apart), job.base) == (3, 2, "builtin")
    assert not {sample.number for sample in job.train} & {sample.number for sample in job.apart}


def test_every_step_and_evaluation_is_a_line_of_metrics(tuning: Tuning) -> None:
    tuning.run()
    records = [json.loads(line) for line in (tuning.folder / "metrics.jsonl").read_text().splitlines()]
    assert [(record["kind"], record["step"]) for record in records] == [
        ("evaluation", 0),
        *(("step", step) for step in range(1, 7)),
        ("evaluation", 6),
    ]
    assert records[1] == {
        "kind": "step",
        "step": 1,
        "loss": 3.0,
        "learning_rate": 2e-4,
        "gradient_norm": 0.5,
        "tokens": 100,
        "seconds": 0.5,
    }


def test_evaluations_in_between_are_told_and_the_best_in_the_end(tuning: Tuning) -> None:
    tuning.trainer.between = tuple(Evaluation(step=step, loss=loss, tokens=20) for step, loss in ((2, 0.5), (4, 0.7)))
    tuning.run(as_object=True)
    assert "After step 2 the rows kept apart have loss 0.500, perplexity 1.6.\n" in tuning.err
    assert "They did best after step 2 of 6 (loss 0.500): fewer --epochs" in tuning.err
    done = json.loads(tuning.out)
    assert done["best_step"] == 2
    assert [(one["step"], one["loss"]) for one in done["between"]] == [(2, 0.5), (4, 0.7)]
    records = [json.loads(line) for line in (tuning.folder / "metrics.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records if record["kind"] == "evaluation"] == [0, 2, 4, 6]
    tuning.folder, tuning.trainer.between = tuning.folder.with_name("other"), ()
    tuning.console = fake_console(columns=100)
    tuning.run()
    assert "did best" not in tuning.err


def test_the_folder_is_all_that_stdout_gets(tuning: Tuning) -> None:
    tuning.run()
    assert tuning.out == f"{tuning.folder}\n"
    assert "Training 6/6  loss 0.500  0 s left  200 tok/s  lr 2.0e-04" in tuning.err
    assert "loss 3.000 before, 1.000 after; perplexity 20.1 before, 2.7 after." in tuning.err
    assert "6 steps in 3 s, 500.00 MB of memory at most." in tuning.err
    assert f"To use it:\n  mistral chat -m builtin --adapter {tuning.folder}\n" in tuning.err


def test_a_program_gets_one_object(tuning: Tuning) -> None:
    tuning.run(as_object=True)
    done = json.loads(tuning.out)
    assert tuning.out.count("\n") == 1
    assert (done["path"], done["steps"], done["interrupted"]) == (str(tuning.folder), 6, False)
    assert done["after"] == {"loss": 1.0, "perplexity": pytest.approx(2.718, abs=1e-3), "tokens": 20}
    assert done["plan"]["trained"] == 26_624


def test_on_a_terminal_the_losses_are_drawn(tmp_path: Path) -> None:
    tuning = Tuning(tmp_path / "mine", write_capitals(tmp_path), console=fake_console(terminal=True, columns=60))
    tuning.run()
    assert "loss of 6 steps\n   3 ┤█\n" in tuning.err
    assert "Training  6/6  loss 0.500  0 s left" in tuning.err


def test_a_long_training_says_after_some_steps_how_long_it_will_take(tuning: Tuning) -> None:
    tuning.trainer = FakeTrainer(steps=103, seconds=6.0)
    tuning.run()
    assert tuning.err.count("A step takes 6.0 s: about 10 min for the other steps.") == 1


def test_a_tiny_model_learns_with_one_thread(tuning: Tuning) -> None:
    threads: list[int] = []
    tuning.trainer.before_step = lambda _: threads.append(torch.get_num_threads())
    tuning.run()
    assert set(threads) == {1}


def test_base_and_adapter_answer_the_same_prompts(tuning: Tuning) -> None:
    tuning.trainer.leave = _put_adapter
    tuning.run(prompts=("What is the capital of Norway?",), held_out=1, as_object=True, eval_split=0.2)
    typed, held_out = json.loads(tuning.out)["samples"]
    assert typed["prompt"] == "What is the capital of Norway?"
    assert typed["base"] != typed["adapter"]
    assert held_out["wanted"].rstrip(".") in CAPITALS.values()
    assert "> What is the capital of Norway?\n" in tuning.err
    assert "with the adapter" in tuning.err


def test_no_prompt_is_answered_twice(tuning: Tuning) -> None:
    tuning.trainer.leave = _put_adapter
    write_capitals(tuning.data.parent, "Who?,I.", "Who?,You.", "Who?,They.", "Who?,We.", "Who?,It.")
    tuning.run(prompts=("Why?", "Which?", "Why?"), held_out=9, as_object=True, eval_split=0.5)
    asked = [one["prompt"] for one in json.loads(tuning.out)["samples"]]
    assert asked[:2] == ["Why?", "Which?"]
    assert len(asked) == len(set(asked)) > 3


def test_rows_that_are_there_twice_are_told(tuning: Tuning) -> None:
    write_capitals(tuning.data.parent, "What is the capital of France?,Paris.")
    tuning.run()
    assert "1 of 6 rows repeats one before: `mistral data check` tells which." in tuning.err


def test_an_adapter_is_trained_as_planned_and_put_onto_its_base(capfd, tmp_path: Path) -> None:
    data, folder = write_capitals(tmp_path), tmp_path / "mine"
    flags = ("--epochs", "1", "--batch", "2", "--accumulate", "1", "--rank", "2", "--save-every", "1", "--samples", "1")
    threads = torch.get_num_threads()
    code, out, _ = mistral(capfd, "tune", "builtin", "--data", str(data), "-o", str(folder), *flags, "--json")
    torch.set_num_threads(threads)
    done = json.loads(out)
    assert (code, done["path"], done["interrupted"]) == (0, str(folder), False)
    assert done["steps"] == done["plan"]["steps"] == 2
    assert done["before"]["tokens"] == done["after"]["tokens"]
    assert len(done["samples"]) == 1
    assert sorted(path.name for path in folder.iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
        "metrics.jsonl",
        "recipe.toml",
    ]
    shown = json.loads(mistral(capfd, "show", str(folder), "--json").out)
    assert (shown["base"], shown["rank"], shown["parameters"]) == ("builtin", 2, done["plan"]["trained"])
