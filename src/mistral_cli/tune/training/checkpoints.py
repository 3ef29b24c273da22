"""The checkpoints of a training: written beside their place, renamed when whole, found again, told apart. No tensors.

A folder ``checkpoints`` lies in the adapter's own while the training runs; each checkpoint in it is named after its
step, as transformers names them.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mistral_cli.errors import CheckpointError
from mistral_cli.tune.events import Evaluation
from mistral_cli.weights.files import find_files
from mistral_cli.weights.half_written import sync_folder
from mistral_cli.weights.json_file import read_object
from mistral_cli.weights.new_folder import sync, write_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mistral_cli.tune.events import Job
    from mistral_cli.tune.samples import Sample

FOLDER = "checkpoints"
STATE = "training.json"
"""Written last: what the checkpoint is of, and the sizes of its files."""
KEPT = 2
"""Whole checkpoints that stay: one may be lost to a failing disk."""

_LEFT_OUT = ("training_args.bin", "README.md")
"""What transformers and peft put into a checkpoint, and nobody reads: a pickle, and a form to fill in."""
_OTHER = {"data": "other data", "model": "another model"}
"""Of what makes a training the one that it is, that which nobody would know by its value."""
_FREE = ("save_every", "eval_every", "eval_split", "checkpointing", "batch", "accumulate")
"""Of a recipe, what may be another when a training goes on; the data itself is compared, and the rows of a step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """One that is whole."""

    step: int
    folder: Path
    identity: Mapping[str, object]
    before: Evaluation | None
    """What the base alone made of the samples kept apart."""
    between: tuple[Evaluation, ...] = ()
    """What the steps until then did to that."""


def identify(job: Job, rows: Sequence[Sequence[Sample]], processes: int) -> dict[str, object]:
    """Return what makes a training this one: in another the numbers would be others."""
    recipe = {name: value for name, value in asdict(job.recipe).items() if name not in _FREE}
    lines = (f"{[(sample.ids, sample.trained) for sample in row]}\n".encode() for row in rows)
    data, model = hashlib.sha256(), hashlib.sha256()
    for line in lines:
        data.update(line)
    files = find_files(job.model_folder)
    for file in [*files.weights, files.config]:
        model.update(f"{file.name} {file.stat().st_size}\n".encode())
    step = job.recipe.batch * job.recipe.accumulate
    told = {"batch × accumulate": step, "data": data.hexdigest(), "model": model.hexdigest(), "processes": processes}
    return {**recipe, **told}


def find_checkpoints(folder: Path) -> list[Checkpoint]:
    """Return the whole checkpoints below an adapter's ``folder``, the last first; what is not whole is passed over."""
    places = (folder / FOLDER).glob("checkpoint-*")
    found = [checkpoint for place in places if (checkpoint := _read(place)) is not None]
    return sorted(found, key=lambda checkpoint: checkpoint.step, reverse=True)


def _read(place: Path) -> Checkpoint | None:
    try:
        state: dict[str, Any] = read_object(place / STATE)
        before = state["before"]
        if any((place / name).stat().st_size != size for name, size in state["files"].items()):
            return None
        return Checkpoint(
            step=state["step"],
            folder=place,
            identity=dict(state["identity"]),
            before=Evaluation(**before) if before else None,
            between=tuple(Evaluation(**one) for one in state.get("between", ())),
        )
    except (CheckpointError, OSError, KeyError, TypeError, ValueError, AttributeError):
        return None


def check_same(checkpoint: Checkpoint, identity: Mapping[str, object]) -> None:
    """Refuse to go on with a training that another recipe, other data or another model was begun with.

    Raises:
        CheckpointError: naming the first that differs.
    """
    for name, value in identity.items():
        theirs = checkpoint.identity.get(name)
        if theirs == value:
            continue
        shown = _OTHER.get(name) or f"{name} = {theirs!s:.60}, and not {value!s:.60}"
        hint = "Give what it was begun with (its recipe lies in the folder), or another folder."
        raise CheckpointError(f"{checkpoint.folder} is of a training with {shown}.", hint)


def begin(folder: Path) -> None:
    """Make an empty place to write a checkpoint into, ``partial(folder)``.

    Raises:
        OSError: it cannot be made.
    """
    sweep(folder)
    partial(folder).mkdir(parents=True)


def finish(folder: Path, checkpoint: Checkpoint) -> None:
    """Put what was written beside into its place, whole; older ones than the last few go.

    Raises:
        OSError: it cannot be; the checkpoints that were there are there.
    """
    beside = partial(folder) / checkpoint.folder.name
    _seal(beside, checkpoint)
    shutil.rmtree(checkpoint.folder, ignore_errors=True)  # of the same step, from which a training went on
    beside.rename(checkpoint.folder)
    sync_folder(checkpoint.folder.parent)
    sweep(folder)
    for old in find_checkpoints(folder)[KEPT:]:
        shutil.rmtree(old.folder, ignore_errors=True)


def _seal(folder: Path, checkpoint: Checkpoint) -> None:
    """Bring all files to the disk, then say which they are."""
    for name in _LEFT_OUT:
        (folder / name).unlink(missing_ok=True)
    sizes: dict[str, int] = {}
    for file in sorted(folder.iterdir()):
        sync(file)
        sizes[file.name] = file.stat().st_size
    before: Any = asdict(checkpoint.before) if checkpoint.before else None
    state = {
        "step": checkpoint.step,
        "identity": dict(checkpoint.identity),
        "before": before,
        "between": [asdict(evaluation) for evaluation in checkpoint.between],
        "files": sizes,
    }
    write_json(folder / STATE, state)
    sync_folder(folder)


def place_of(folder: Path, step: int) -> Path:
    """Return where the checkpoint of ``step`` lies, by the name that transformers gives one."""
    return folder / FOLDER / f"checkpoint-{step}"


def partial(folder: Path) -> Path:
    """Return where a checkpoint lies that is being written."""
    return folder / FOLDER / ".partial"


def sweep(folder: Path) -> None:
    """Remove what was left half written."""
    shutil.rmtree(partial(folder), ignore_errors=True)


def remove_all(folder: Path) -> None:
    """Remove the checkpoints of a training that is done."""
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
