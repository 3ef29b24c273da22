"""``mistral tune`` around the training: what is checked, told, written and kept."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
from dataclasses import fields
from typing import TYPE_CHECKING

import pytest
from command_line import mistral
from tunings import CAPITALS, Tuning, write_capitals

from fakes import FakeTrainer, fake_console
from lora_files import write_adapter
from mistral_cli.cli import build
from mistral_cli.commands.tune import _RECIPE
from mistral_cli.errors import MistralError, OutOfMemoryError, UsageError
from mistral_cli.settings.toml_file import read_toml
from mistral_cli.tune.recipe import Recipe, check_recipe
from mistral_cli.weights.config import read_args
from mistral_cli.weights.hub import builtin_path

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _same_threads_afterwards():
    import torch

    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def tuning(tmp_path: Path) -> Tuning:
    return Tuning(folder=tmp_path / "mine", data=write_capitals(tmp_path))


def _put_adapter(folder: Path) -> None:
    written = write_adapter(folder.with_name("written"), read_args(builtin_path()))
    for file in written.iterdir():
        file.rename(folder / file.name)


# -- flags -------------------------------------------------------------------------------------------------------------


def test_every_field_of_a_recipe_has_its_flag() -> None:
    assert set(_RECIPE) == {field.name for field in fields(Recipe)}


def test_the_help_tells_the_defaults_of_a_recipe() -> None:
    words = {"packing": "no", "checkpointing": "yes", "lr": "2e-4", "steps": "0, as --epochs has it"}
    params = {param.name: param for param in build().get_command(None, "tune").params}
    for field in fields(Recipe):
        plain = f"{field.default:g}" if isinstance(field.default, float) else field.default
        shown = words.get(field.name, plain)
        assert params[field.name].help.endswith(f"(default: {shown})."), field.name


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--rank", "0"), "--rank is 0, but must be"),
        (("--rank", "x"), "--rank"),
        (("--targets", "q,z"), "--targets is 'q,z', but must be"),
        (("--lr", "nan"), "--lr is nan, but must be"),
        (("--eval-split", "0.9"), "--eval-split is 0.9, but must be"),
        (("--quantize", "int8"), "--quantize"),
        (("--length", "4096"), "--length is 4,096, but the model was made for 2,048 tokens."),
        (("--recipe", "/no/such.toml"), "--recipe: there is no file /no/such.toml."),
        (("--source", "en"), "A translation wants --source and --target."),
    ],
)
def test_a_wrong_flag_is_named_and_nothing_is_made(capfd, tmp_path: Path, flags, message: str) -> None:
    data, folder = write_capitals(tmp_path), tmp_path / "mine"
    code, out, err = mistral(capfd, "tune", "builtin", "--data", str(data), "-o", str(folder), *flags)
    assert (code, out) == (2, "")
    assert message in err
    assert not folder.exists()


def test_a_model_that_is_not_there_is_not_found(capfd, tmp_path: Path) -> None:
    assert mistral(capfd, "tune", "./nowhere", "--data", str(write_capitals(tmp_path))).code == 3


def test_data_that_are_not_there_are_not_found(capfd, tmp_path: Path) -> None:
    code, _, err = mistral(capfd, "tune", "builtin", "--data", str(tmp_path / "none.csv"))
    assert code == 3
    assert "none.csv" in err


def test_without_the_optional_packages_it_says_what_to_install(tuning: Tuning, monkeypatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr("mistral_cli.commands.tune_run.find_spec", lambda name: None if name == "peft" else find(name))
    with pytest.raises(UsageError) as refused:
        tuning.run()
    assert str(refused.value) == "mistral tune needs peft, which is not installed. pip install 'mistral-cli[tune]'"


# -- the plan ----------------------------------------------------------------------------------------------------------


def test_a_dry_run_tells_the_plan_and_makes_nothing(capfd, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = write_capitals(tmp_path, "broken")
    code, out, err = mistral(capfd, "tune", "builtin", "--data", str(data), "--dry-run", "--epochs", "8")
    assert code == 0
    assert "26,624 of 4,949,120 parameters (0.54%): 8 adapters of rank 16 on q,v" in out
    assert "5 samples of 6 rows (completion): 66 tokens, of which 16 are learnt" in out
    assert "8 of up to 16 samples (8 × 4 samples)" in out
    assert "1 of 6 rows cannot be used: row 7: 1 cells where there are 2 columns." in err
    assert [path.name for path in tmp_path.iterdir()] == ["capitals.csv"]


def test_a_dry_run_for_a_program_holds_the_whole_recipe(capfd, tmp_path: Path) -> None:
    data = write_capitals(tmp_path)
    code, out, _ = mistral(capfd, "tune", "builtin", "--data", str(data), "--dry-run", "--json", "--rank", "8")
    plan = json.loads(out)
    assert (code, plan["dry_run"], plan["trained"], plan["steps"]) == (0, True, 8 * 8 * (2 * 128 + 128 + 32) // 2, 3)
    assert Recipe().with_values(plan["recipe"]) == Recipe(rank=8)
    memory = plan["memory"]
    assert memory["total"] < memory["free"]
    assert memory["fits"] is True


def test_without_weights_and_tokenizer_only_the_tokens_are_unknown(capfd, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    config = json.loads((builtin_path() / "config.json").read_text())
    del config["mistral_cli_tokenizer"]
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    data = write_capitals(tmp_path)
    code, out, _ = mistral(capfd, "tune", str(tmp_path / "model"), "--data", str(data), "--dry-run")
    assert code == 0
    assert "5 rows; tokens are not known without a tokenizer" in out
    assert "26,624 of 4,949,120" in out
    _, out, _ = mistral(capfd, "tune", str(tmp_path / "model"), "--data", str(data), "--dry-run", "--json")
    assert json.loads(out)["tokens"] is None


def test_a_dry_run_of_what_does_not_fit_says_so_and_what_would(capfd, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    config = json.loads((builtin_path() / "config.json").read_text())
    config |= {"num_hidden_layers": 900, "hidden_size": 8192, "head_dim": 1024, "intermediate_size": 2**15}
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    flags = ("--data", str(write_capitals(tmp_path)), "--dry-run")
    code, out, err = mistral(capfd, "tune", str(tmp_path / "model"), *flags)
    assert code == 0
    assert "of which 16 are learnt" in out
    assert "warning: The training needs " in err


def test_a_training_that_does_not_fit_is_refused_before_anything_is_loaded(tuning: Tuning, monkeypatch) -> None:
    monkeypatch.setattr("mistral_cli.engine.plan.host_free", lambda: 10**8)
    with pytest.raises(OutOfMemoryError, match="but 100,000,000 are free"):
        tuning.run()
    assert not tuning.folder.exists()
    assert tuning.trainer.jobs == []


# -- recipes -----------------------------------------------------------------------------------------------------------


def test_flags_are_stronger_than_a_file_and_what_came_of_both_lies_beside_the_adapter(tuning, tmp_path: Path) -> None:
    file = tmp_path / "small.toml"
    file.write_text('rank = 4\ntargets = "q"\n')
    assert tuning.run(recipe=file, rank=8) == 0
    wanted = Recipe(rank=8, targets="q")
    assert tuning.trainer.jobs[0].recipe == wanted
    path = tuning.folder / "recipe.toml"
    assert path.read_text().startswith("# mistral tune builtin --data ")
    assert Recipe().with_values(check_recipe(read_toml(path).table, path)) == wanted


def test_a_model_for_fewer_tokens_gets_shorter_sequences(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    for file in builtin_path().iterdir():
        if file.name != "config.json":
            (tmp_path / "model" / file.name).symlink_to(file)
    config = json.loads((builtin_path() / "config.json").read_text()) | {"max_position_embeddings": 512}
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    tuning = Tuning(folder=tmp_path / "mine", data=write_capitals(tmp_path))
    assert tuning.run(model=str(tmp_path / "model")) == 0
    assert tuning.trainer.jobs[0].recipe.length == 512
    assert tuning.trainer.jobs[0].base == str((tmp_path / "model").resolve())


# -- what a training is given, and what it leaves ----------------------------------------------------------------------


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


def test_base_and_adapter_answer_the_same_prompts(tuning: Tuning) -> None:
    tuning.trainer.leave = _put_adapter
    tuning.run(prompts=("What is the capital of Norway?",), held_out=1, as_object=True, eval_split=0.2)
    typed, held_out = json.loads(tuning.out)["samples"]
    assert typed["prompt"] == "What is the capital of Norway?"
    assert typed["base"] != typed["adapter"]
    assert held_out["wanted"].rstrip(".") in CAPITALS.values()
    assert "> What is the capital of Norway?\n" in tuning.err
    assert "with the adapter" in tuning.err


# -- ends --------------------------------------------------------------------------------------------------------------


def test_ctrl_c_saves_stops_and_tells_how_to_go_on(tuning: Tuning) -> None:
    def strike(step: int) -> None:
        if step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    tuning.trainer.before_step = strike
    assert tuning.run() == 130
    assert tuning.out == ""
    command = f"mistral tune builtin --data {tuning.data} -o {tuning.folder} --resume"
    assert f"Stopped after step 3, which is saved. To go on:\n  {command}\n" in tuning.err
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_before_the_first_step_ends_at_once_and_leaves_nothing(tuning: Tuning) -> None:
    tuning.trainer.before_step = lambda _step: os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        tuning.run()
    assert not tuning.folder.exists()


def test_a_training_goes_on_with_its_own_recipe_and_its_metrics(tuning: Tuning) -> None:
    tuning.trainer = FakeTrainer(fails_at=4)
    with pytest.raises(MistralError, match="not finite"):
        tuning.run(rank=8)
    tuning.trainer = FakeTrainer(goes_on_after=2)
    assert tuning.run(resume=True) == 0
    assert "no training to go on with" not in tuning.err
    job = tuning.trainer.jobs[0]
    assert (job.recipe.rank, job.resume) == (8, True)
    records = [json.loads(line) for line in (tuning.folder / "metrics.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records] == [0, 1, 2, 3, 4, 5, 6, 6]


def test_a_training_does_not_go_on_with_another_recipe(tuning: Tuning) -> None:
    tuning.trainer = FakeTrainer(fails_at=4)
    with pytest.raises(MistralError):
        tuning.run(rank=8)
    with pytest.raises(UsageError, match=r"--rank is 4, but the training in .* was begun with 8"):
        tuning.run(rank=4, resume=True)


def test_where_there_is_nothing_to_go_on_with_it_begins_and_says_so(tuning: Tuning) -> None:
    assert tuning.run(resume=True) == 0
    assert "There is no training to go on with in" in tuning.err


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("adapter_model.safetensors", "holds an adapter already", "Name a new folder."),
        ("thesis.txt", "is not empty", "Name a new folder."),
    ],
)
def test_a_folder_that_holds_something_is_left_alone(tuning: Tuning, name: str, message: str, hint: str) -> None:
    tuning.folder.mkdir()
    (tuning.folder / name).write_text("years of work")
    with pytest.raises(UsageError, match=message) as refused:
        tuning.run()
    assert refused.value.hint == hint
    assert [path.read_text() for path in tuning.folder.iterdir()] == ["years of work"]


def test_a_training_that_is_not_over_is_not_begun_anew(tuning: Tuning) -> None:
    tuning.trainer = FakeTrainer(fails_at=4)
    with pytest.raises(MistralError):
        tuning.run()
    with pytest.raises(UsageError, match="holds a training that is not over") as refused:
        tuning.run()
    assert refused.value.hint == "Add --resume, or name a new folder."


def test_a_training_that_came_to_no_checkpoint_is_in_nobodys_way(tuning: Tuning) -> None:
    tuning.trainer = FakeTrainer(fails_at=2)
    with pytest.raises(MistralError):
        tuning.run()
    tuning.trainer = FakeTrainer()
    assert tuning.run() == 0


def test_what_is_left_of_a_checkpoint_is_nothing_to_go_on_with(tuning: Tuning) -> None:
    (tuning.folder / "checkpoints" / "step-3").mkdir(parents=True)
    assert tuning.run(resume=True) == 0
    assert "There is no training to go on with in" in tuning.err


def test_a_training_that_is_over_does_not_go_on(tuning: Tuning) -> None:
    tuning.run()
    with pytest.raises(UsageError, match="is over"):
        tuning.run(resume=True)


def test_a_folder_that_cannot_be_made_is_told_before_the_training(tuning: Tuning, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    tuning.folder = tmp_path / "file" / "mine"
    with pytest.raises(UsageError, match="--output"):
        tuning.run()
    assert tuning.trainer.jobs == []


def test_a_training_goes_on_without_metrics_where_they_cannot_be_written(tuning: Tuning) -> None:
    tuning.trainer.before_step = lambda step: (tuning.folder / "metrics.jsonl").mkdir() if step == 1 else None
    assert tuning.run() == 0
    assert tuning.err.count("metrics.jsonl cannot be written") == 1


def test_of_several_processes_only_the_first_speaks_and_writes(tuning: Tuning, monkeypatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    tuning.folder.mkdir()
    assert tuning.run() == 0
    assert (tuning.out, tuning.err) == ("", "")
    assert sorted(path.name for path in tuning.folder.iterdir()) == ["adapter_model.safetensors", "checkpoints"]
