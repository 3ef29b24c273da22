"""One training of some steps on random tokens: time and memory of a step, beside the memory that was planned.

    tools/measure_tuning.py 7b --model FOLDER     a folder with 7B's shape, as `mistral bench --random 7b --keep` writes
    tools/measure_tuning.py 1b                    random weights of a smaller shape, written to a temporary folder
    tools/measure_tuning.py builtin

Memory does not depend on what weights and tokens are. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mistral_cli.model.args import ModelArgs
from mistral_cli.tune.events import Evaluation, Job, Progress
from mistral_cli.tune.plan import Load, plan_memory
from mistral_cli.tune.recipe import Recipe
from mistral_cli.tune.samples import Sample

ONE = ModelArgs(
    dim=2048, n_layers=16, head_dim=64, hidden_dim=7168, n_heads=32, n_kv_heads=8, vocab_size=32768, sliding_window=None
)
CASES = {
    "7b": Recipe(quantize="nf4", rank=8, targets="q,v", batch=1, accumulate=1, length=256),
    "1b": Recipe(rank=16, targets="q,k,v,o", batch=4, accumulate=1, length=256, checkpointing=False),
    "1b-nf4": Recipe(quantize="nf4", rank=16, targets="all-linear", batch=2, accumulate=1, length=512),
    "builtin": Recipe(rank=8, targets="q,v", batch=8, accumulate=1, length=256),
}


@dataclass
class Watching:
    """Takes note of every step."""

    steps: list[Progress] = field(default_factory=list)

    def progress(self, step: Progress) -> None:
        """Keep it."""
        self.steps.append(step)

    def asking(self, _asked: int, _rows: int) -> None:
        """Nothing is kept apart."""

    def evaluated(self, _: Evaluation) -> None:
        """Nothing is kept apart."""

    def saved(self, _step: int, _folder: Path) -> None:
        """It is thrown away."""

    def note(self, text: str) -> None:
        """Pass it on."""
        print(text, file=sys.stderr)


def main() -> None:
    """Measure one case."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("case", choices=list(CASES))
    parser.add_argument("--model", type=Path, help="the base; by default written for the occasion")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where what is written goes, by default the system's place")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        model = asked.model or model_of(asked.case, Path(folder))
        print(json.dumps(measure(asked.case, model, asked.steps, asked.threads, Path(folder))))


def model_of(case: str, folder: Path) -> Path:
    """Return the folder of the case's own model, written if it is not there."""
    from mistral_cli.measure.random_model import RandomModel, write_random_model
    from mistral_cli.weights.hub import builtin_path

    if case == "builtin":
        return builtin_path()
    args = ModelArgs.mistral_7b_v03() if case == "7b" else ONE
    write_random_model(folder / "model", RandomModel(args=args))
    return folder / "model"


def measure(case: str, model: Path, steps: int, threads: int, folder: Path) -> dict[str, object]:
    """Train for some steps; return what was planned and what it took."""
    import torch

    from mistral_cli.commands.tune_prepare import base_of
    from mistral_cli.engine.reclaim import give_back_at_once
    from mistral_cli.tune.train import train
    from mistral_cli.weights.config import read_args

    torch.set_num_threads(threads)
    recipe = CASES[case].with_values({"steps": steps, "save_every": 10**6, "eval_split": 0.0, "loss": "all"})
    draw = random.Random(0)
    args = read_args(model)
    samples = tuple(sample(draw, recipe.length, args.vocab_size, number) for number in range(recipe.batch * 4))
    give_back_at_once()
    base, watching = base_of(model, args, recipe), Watching()
    job = Job(model_folder=model, recipe=recipe, train=samples, apart=(), folder=folder / "adapter")
    job.folder.mkdir()
    outcome = train(job, watching, lambda: False)
    planned = plan_memory(base, recipe, Load.of([(one,) for one in samples], recipe))
    measured = outcome.peak_bytes + planned.mapped  # what stays in files is no memory of the process's own
    return {
        "case": case,
        "recipe": recipe.values(),
        "parameters": args.parameters,
        "threads": threads,
        "planned_bytes": planned.total,
        "measured_bytes": measured,
        "measured_of_planned": round(measured / planned.total, 3),
        "anonymous_bytes": outcome.peak_bytes,
        "planned": asdict(planned),
        "seconds": round(outcome.seconds, 1),
        "seconds_of_steps": [round(step.seconds, 2) for step in watching.steps],
        "losses": [round(step.loss, 3) for step in watching.steps],
    }


def sample(draw: random.Random, length: int, vocabulary: int, number: int) -> Sample:
    """Return a sample of random ids, all of them learnt."""
    ids = tuple(draw.randrange(3, vocabulary) for _ in range(length))
    return Sample(ids=ids, trained=(False, *(True,) * (length - 1)), number=number)


if __name__ == "__main__":
    main()
