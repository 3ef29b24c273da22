"""The adapter that ``mistral tune --adapter`` goes on from: where it is, and what of a recipe is its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mistral_cli.adapting import AdapterInfo, doubt, read_choice
from mistral_cli.errors import UsageError
from mistral_cli.ui.console import Console

if TYPE_CHECKING:
    from mistral_cli.model.args import ModelArgs
    from mistral_cli.tune.recipe import Recipe
    from mistral_cli.weights.adapters.files import AdapterFiles


def whole_path(typed: str) -> str:
    """Return what a recipe calls an adapter: a folder by its whole path, so that it is found from elsewhere.

    Raises:
        UsageError: it is to be weaker or stronger than it is.
    """
    choice = read_choice(typed)
    if choice.strength != 1:
        message = f"--adapter is {typed!a:.80}, but a training goes on from an adapter as it is."
        raise UsageError(message, "Leave out the scale; --lr says how far it goes.")
    from mistral_cli.weights.hub import expand

    folder = expand(choice.path)
    return str(folder.resolve()) if folder.is_dir() else choice.path


def read_begun(recipe: Recipe, args: ModelArgs, console: Console) -> AdapterFiles | None:
    """Return the adapter that a recipe goes on from, checked; None where a new one is trained.

    Raises:
        ModelNotFoundError: it is not here.
        CheckpointError: it is damaged, of a kind that is not computed here, or for another model.
    """
    if not recipe.adapter:
        return None
    from mistral_cli.commands.pull import find_or_offer_adapter
    from mistral_cli.weights.adapters.files import find_adapter, match_adapter

    files = find_adapter(find_or_offer_adapter(recipe.adapter, console))
    match_adapter(files, args)
    return files


def as_recipe(files: AdapterFiles, recipe: Recipe, said: Mapping[str, object]) -> Recipe:
    """Return the recipe with the adapter's own numbers.

    Raises:
        UsageError: another one was ``said``, or the adapter is on layers that no training puts one on.
    """
    from mistral_cli.tune.recipe import letters_of, split_targets

    targets = letters_of(files.layers)
    if not split_targets(targets):
        message = f"The adapter {files.folder} is on {targets:.120}, which are no layers of their own in a training."
        raise UsageError(message, "Train a new one, with --targets q,k,v,o.")
    own = {"rank": files.config.rank, "alpha": files.config.alpha, "targets": targets}
    for name, value in own.items():
        now = said.get(name, value)
        is_same = set(split_targets(str(now))) == set(split_targets(targets)) if name == "targets" else now == value
        if not is_same:
            message = f"--{name} is {now}, but the adapter {files.folder} has {value}."
            raise UsageError(message, "Leave it out: a training goes on with an adapter's own.")
    return recipe.with_values(own)


def doubt_of(files: AdapterFiles, model: str, path: Path) -> str:
    """Return what should be said of an adapter that was plainly trained on another model; empty where nothing should.

    Args:
        files: the adapter.
        model: what the base is called.
        path: its folder.
    """
    from mistral_cli.weights.adapters.places import adapter_name

    info = AdapterInfo(
        name=adapter_name(files.folder),
        path=str(files.folder),
        strength=1.0,
        rank=files.config.rank,
        parameters=files.parameters,
        base=files.config.base,
    )
    return doubt(info, model, str(path))
