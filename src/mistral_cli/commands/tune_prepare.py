"""What ``mistral tune`` settles before anything is loaded: model, recipe, data, and what all that will take."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mistral_cli.commands.training_data import DataFlags
from mistral_cli.commands.tune_adapter import as_recipe, doubt_of, read_begun, whole_path
from mistral_cli.errors import CheckpointError, MistralError, UsageError
from mistral_cli.ui.console import Console

if TYPE_CHECKING:
    from mistral_cli.model.args import ModelArgs
    from mistral_cli.text.tokenizer import Tokenizer
    from mistral_cli.tune.dataset import BadRow, Dataset, Reading
    from mistral_cli.tune.plan import Base, Load
    from mistral_cli.tune.recipe import Recipe
    from mistral_cli.tune.rows import Row
    from mistral_cli.tune.samples import Loss, Sample

RECIPE: Final = "recipe.toml"
"""The file beside an adapter that says how it was trained; ``--recipe`` takes it."""
_FREE_TO_CHANGE = ("save_every", "eval_every", "checkpointing", "batch", "accumulate")
"""What changes no number of a training, so that one that goes on may have it another way: of the last two, the product
must stay, as it is the rows of one step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What the flags of this command say."""

    model: str
    data: str
    folder: Path
    """Where the adapter goes."""
    flags: DataFlags
    recipe: str | None
    """A file."""
    given: Mapping[str, object]
    """Field of a recipe -> what its flag says; None: not given."""
    resume: bool
    revision: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """What there is to train on."""

    rows: int
    bad: tuple[BadRow, ...]
    dataset: Dataset | None = None
    """None where there is no tokenizer."""
    problem: str = ""
    """Why there is none."""
    train: tuple[Sample, ...] = ()
    apart: tuple[Sample, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A training, settled."""

    name: str
    path: Path
    args: ModelArgs
    base: Base
    recipe: Recipe
    data: Data
    load: Load
    """What a step asks for; the most that there can be where no token could be counted."""
    sequences: int
    """Rows of batches in one epoch."""
    steps: int
    tokenizer: Tokenizer | None = field(repr=False)


def prepare(ask: Ask, path: Path, console: Console, *, may_lack_tokenizer: bool = False) -> Prepared:
    """Settle a training of the model in ``path``; no weight is read.

    Args:
        ask: what was asked for.
        path: the model's folder.
        console: where it is told how far the reading is.
        may_lack_tokenizer: rows are only counted where there is none.

    Raises:
        UsageError: a recipe, a row or a flag that cannot be.
        CheckpointError: a model that is damaged, or no Mistral.
        MistralError: the data cannot be read or teaches nothing.
    """
    from mistral_cli.tune.plan import Load
    from mistral_cli.tune.steps import count_steps, make_sequences
    from mistral_cli.weights.config import read_args
    from mistral_cli.weights.hub import full_name

    recipe = resolve_recipe(ask)
    args = read_args(path)
    recipe = _fitting(recipe, args, ask)
    begun = read_begun(recipe, args, console)
    if begun is not None:
        recipe = as_recipe(begun, recipe, {**_said(ask), **_given(ask)})
    base = replace(base_of(path, args, recipe), begun=begun)
    if begun is not None and (words := doubt_of(begun, full_name(ask.model), path)):
        console.warning(words)
    tokenizer, problem = _tokenizer(path, args, may_lack=may_lack_tokenizer)
    data = _read(ask, recipe, tokenizer, problem, console)
    sequences = make_sequences(data.train, recipe) if tokenizer else ()
    count = len(sequences) if tokenizer else data.rows - len(data.bad)
    return Prepared(
        name=full_name(ask.model),
        path=path,
        args=args,
        base=base,
        recipe=recipe,
        data=data,
        load=Load.of(sequences, recipe) if sequences else Load.most(recipe),
        sequences=count,
        steps=count_steps(count, recipe, processes=processes()),
        tokenizer=tokenizer,
    )


def processes() -> int:
    """Return how many processes train together, as ``accelerate launch`` and ``torchrun`` say it."""
    said = os.environ.get("WORLD_SIZE", "")
    return max(int(said), 1) if said.isdigit() else 1


def is_main_process() -> bool:
    """Tell whether this one speaks and writes for all."""
    return os.environ.get("RANK", "0") in ("", "0")


# -- the recipe --------------------------------------------------------------------------------------------------------


def resolve_recipe(ask: Ask) -> Recipe:
    """Return the recipe: its defaults, then a training's own or ``--recipe``, then the flags.

    Raises:
        UsageError: a value that cannot be; one that another was begun with, where a training goes on.
    """
    from mistral_cli.tune.recipe import Recipe

    own = ask.folder / RECIPE
    if not (ask.resume and own.is_file()):
        return Recipe().with_values(_said(ask)).with_values(_given(ask))
    begun = Recipe().with_values(_table(own))
    asked = begun.with_values(_said(ask)).with_values(_given(ask))
    if asked.batch * asked.accumulate != begun.batch * begun.accumulate:
        now, then = (f"{one.batch:,} × {one.accumulate:,}" for one in (asked, begun))
        message = f"A step takes {now} rows, but the training in {ask.folder} was begun with {then}."
        raise UsageError(message, "Let --batch and --accumulate multiply to the same, or name a new folder.")
    for name, value in begun.values().items():
        now = asked.values()[name]
        if name not in _FREE_TO_CHANGE and now != value:
            message = f"--{name.replace('_', '-')} is {now}, but the training in {ask.folder} was begun with {value}."
            raise UsageError(message, "Leave it out, or name a new folder.")
    return asked


def _given(ask: Ask) -> Mapping[str, object]:
    """Return the flags that were given; a folder by its whole path."""
    given = {name: value for name, value in ask.given.items() if value is not None}
    return given | ({"adapter": whole_path(str(given["adapter"]))} if given.get("adapter") else {})


def _said(ask: Ask) -> Mapping[str, object]:
    """Return what ``--recipe`` says."""
    return _table(Path(ask.recipe)) if ask.recipe else {}


def _table(path: Path) -> Mapping[str, object]:
    from mistral_cli.settings.toml_file import read_toml
    from mistral_cli.tune.recipe import check_recipe

    try:
        return check_recipe(read_toml(path).table, path)
    except FileNotFoundError:
        raise UsageError(f"--recipe: there is no file {path}.", "Leave it out, or check the path.") from None


def _fitting(recipe: Recipe, args: ModelArgs, ask: Ask) -> Recipe:
    """Return the recipe with sequences that the model was made for: fewer tokens than by default, where it has none."""
    most = args.max_position_embeddings
    if recipe.length <= most:
        return recipe
    if ask.given.get("length") is not None or (ask.recipe and "length" in _table(Path(ask.recipe))):
        raise UsageError(f"--length is {recipe.length:,}, but the model was made for {most:,} tokens.", "Lower it.")
    return recipe.with_values({"length": most})


# -- the model ---------------------------------------------------------------------------------------------------------


def base_of(path: Path, args: ModelArgs, recipe: Recipe) -> Base:
    """Return what the base is in memory: what is quantized, or stored in 16 bits, computes in 16."""
    from mistral_cli.commands.show_facts import stated_dtype
    from mistral_cli.tune.plan import Base
    from mistral_cli.weights.files import find_config
    from mistral_cli.weights.prequantized import stated_scheme

    config = find_config(path)
    own = stated_scheme(config)
    kind = stated_dtype(config) or _stored_dtype(path)
    is_wide = kind in ("float32", "float64", "F32", "F64") and own is None and recipe.quantize == "none"
    held = sum(file.stat().st_size for file in path.glob("*.safetensors")) if own is not None else 0
    return Base(args=args, number_bytes=4 if is_wide else 2, is_quantized=own is not None, held=held or None)


def _stored_dtype(path: Path) -> str:
    """Return the type of a model's weights by their files, where its config does not say; empty where they are not."""
    from mistral_cli.weights.files import find_files, read_tensors
    from mistral_cli.weights.formats import main_dtype

    try:
        return main_dtype(read_tensors(find_files(path)).values())
    except CheckpointError:  # a plan needs no weights; who trains is told of them
        return ""


def _tokenizer(path: Path, args: ModelArgs, *, may_lack: bool) -> tuple[Tokenizer | None, str]:
    from mistral_cli.text.tokenizer import check_vocabulary, load_tokenizer

    try:
        tokenizer = load_tokenizer(path)
        check_vocabulary(tokenizer, args.vocab_size)
    except MistralError as error:
        if not may_lack:
            raise
        return None, error.message
    return tokenizer, ""


# -- the data ----------------------------------------------------------------------------------------------------------


def _read(ask: Ask, recipe: Recipe, tokenizer: Tokenizer | None, problem: str, console: Console) -> Data:
    from mistral_cli.tune.dataset import make_dataset, split

    loss: Loss = "all" if recipe.loss == "all" else "answers"
    reading = ask.flags.reading(loss=loss, length=recipe.length)
    rows = ask.flags.rows(ask.data, console)
    if tokenizer is None:
        return _counted(rows, reading, problem)
    dataset = make_dataset(rows, tokenizer, reading)
    console.clear_status()
    train, apart = split(dataset.samples, recipe.eval_split, recipe.seed)
    return Data(rows=dataset.rows, bad=dataset.bad, dataset=dataset, train=train, apart=apart)


def _counted(rows: Iterator[Row], reading: Reading, problem: str) -> Data:
    """Return how many rows there are, and which cannot be used, where nothing can be encoded."""
    from mistral_cli.tune.dataset import BadRow, read_examples

    count, bad = 0, []
    for _, _, example in read_examples(rows, reading):
        count += 1
        if isinstance(example, BadRow):
            bad.append(example)
    if count == len(bad):
        raise MistralError(f"None of the {count:,} rows of the data can be used.", "See: mistral data check FILE")
    return Data(rows=count, bad=tuple(bad), problem=problem)


def described(bad: Sequence[BadRow], rows: int) -> str:
    """Say what is wrong with the rows that cannot be used."""
    from mistral_cli.tune.dataset import MOST_TOLD

    told = "; ".join(f"row {row.number}: {row.reason}" for row in bad[:MOST_TOLD])
    more = f"; and {len(bad) - MOST_TOLD:,} more (mistral data check shows all)" if len(bad) > MOST_TOLD else ""
    return f"{len(bad):,} of {rows:,} rows cannot be used: {told}{more}."
