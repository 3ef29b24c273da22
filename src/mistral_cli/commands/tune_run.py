"""What ``mistral tune`` does when its flags are read: the plan, the training, what came of it."""

from __future__ import annotations

import contextlib
import gc
import shlex
from collections.abc import Callable, Iterator
from dataclasses import asdict
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from mistral_cli.commands.tune_folder import METRICS, Metrics, check_folder, make_folder, write_beside
from mistral_cli.commands.tune_plan import plan_json, plan_rows, refusal
from mistral_cli.commands.tune_prepare import RECIPE, Ask, Prepared, described, is_main_process, prepare, processes
from mistral_cli.commands.tune_report import Showing, answers, as_json, report, show_command
from mistral_cli.commands.tune_watch import Watch
from mistral_cli.errors import UsageError
from mistral_cli.settings.options import Settings
from mistral_cli.ui.columns import labelled
from mistral_cli.ui.console import Console

if TYPE_CHECKING:
    from mistral_cli.tune.events import Job, Outcome, Watcher

    Train = Callable[[Job, Watcher, Callable[[], bool]], Outcome]

INTERRUPTED: Final = 130
_ROOM: Final = 1.5
"""Times what is planned: where there is so much, holes in the heap do no harm."""
_NEEDS: Final = ("peft",)
"""Packages of the optional extra ``tune``, without which nothing is trained."""


def run_tune(
    ask: Ask,
    showing: Showing,
    settings: Settings,
    console: Console,
    *,
    dry_run: bool = False,
    train: Train | None = None,
) -> int:
    """Plan and train; show and print what came of it. Return the exit code.

    Args:
        ask: what was asked for.
        showing: what is shown in the end.
        settings: where the model is found, and with how many threads it learns.
        console: where it is told.
        dry_run: tell the plan alone.
        train: who trains, by default ``tune.train``.

    Raises:
        MistralError: as the model, the data, the memory and the training have it.
    """
    console.quiet = console.quiet or not is_main_process()
    if dry_run:
        return _plan_alone(ask, showing, console)
    _check_installed()
    if is_main_process() and not check_folder(ask.folder, resume=ask.resume) and ask.resume:
        console.notice(f"There is no training to go on with in {ask.folder}: it begins.")
    prepared = _prepared(ask, console)
    free = _free_memory()
    refused = refusal(prepared, free)
    _show_plan(prepared, free, console)
    if refused is not None:
        raise refused
    _spare_memory(prepared, free)
    watch = Watch(console=console, metrics=_metrics(ask, console))
    outcome = _trained(ask, prepared, settings, watch, train)
    if outcome.interrupted:
        return _stopped(ask, outcome, showing, console)
    if not is_main_process():
        return 0
    report(outcome, prepared, watch.losses, console)
    if not showing.as_object:
        console.line(str(outcome.folder))
    answered = [asdict(one) for one in answers(ask, prepared, outcome, showing, settings, console)]
    if showing.as_object:
        console.json({**as_json(outcome), "plan": plan_json(prepared, free), "samples": answered})
    return 0


# -- before ------------------------------------------------------------------------------------------------------------


def _check_installed() -> None:
    missing = next((name for name in _NEEDS if find_spec(name) is None), None)
    if missing is not None:
        message = f"mistral tune needs {missing}, which is not installed."
        raise UsageError(message, "pip install 'mistral-cli[tune]'")


def _plan_alone(ask: Ask, showing: Showing, console: Console) -> int:
    from mistral_cli.weights.hub import full_name, resolve

    path = resolve(full_name(ask.model), revision=ask.revision, weights=False)
    prepared = prepare(ask, path, console, may_lack_tokenizer=True)
    _tell_data(prepared, console)
    free = _free_memory()
    console.clear_status()
    if showing.as_object:
        console.json({"dry_run": True, **plan_json(prepared, free)})
    else:
        columns = console.out.columns if console.out.is_terminal else None
        console.line("\n".join(labelled(list(plan_rows(prepared, free)), columns)))
    refused = refusal(prepared, free)
    if refused is not None:
        console.warning(str(refused))
    return 0


def _prepared(ask: Ask, console: Console) -> Prepared:
    from mistral_cli.commands.pull import find_or_offer

    path = find_or_offer(ask.model, ask.revision, console)
    prepared = prepare(ask, path, console)
    _tell_data(prepared, console)
    return prepared


def _tell_data(prepared: Prepared, console: Console) -> None:
    data = prepared.data
    if data.bad:
        console.warning(described(data.bad, data.rows))
    repeated = sum(one.is_whole for one in data.dataset.repeats) if data.dataset else 0
    if repeated:
        verb = "repeats" if repeated == 1 else "repeat"
        console.notice(f"{repeated:,} of {data.rows:,} rows {verb} one before: `mistral data check` tells which.")
    if data.dataset is not None and data.dataset.cut:
        length = prepared.recipe.length
        lost = f", {data.dataset.dropped:,} of them with all that is learnt" if data.dataset.dropped else ""
        console.warning(f"{data.dataset.cut:,} samples are longer than --length {length:,}: their ends are cut{lost}.")


def _free_memory() -> int:
    from mistral_cli.engine.device import choose_device
    from mistral_cli.engine.plan import free_memory

    return free_memory(choose_device())


def _show_plan(prepared: Prepared, free: int, console: Console) -> None:
    columns = console.err.columns if console.err.is_terminal else None
    console.laid_out("\n".join(labelled(list(plan_rows(prepared, free)), columns)))


def _spare_memory(prepared: Prepared, free: int) -> None:
    """Let freed memory go back at once where it is needed: a step then takes a fifth longer without quantization.

    Quantizing while a model is loaded leaves as much again in holes; a step of one that is not, a seventh.
    """
    from mistral_cli.engine.reclaim import give_back_at_once
    from mistral_cli.tune.plan import plan_memory

    planned = plan_memory(prepared.base, prepared.recipe, prepared.load).total
    if prepared.base.scheme(prepared.recipe) != "none" or planned * _ROOM > free:
        give_back_at_once()


def _metrics(ask: Ask, console: Console) -> Metrics | None:
    if not is_main_process():
        return None
    return Metrics(path=ask.folder / METRICS, console=console, resume=ask.resume)


# -- the training ------------------------------------------------------------------------------------------------------


def _trained(ask: Ask, prepared: Prepared, settings: Settings, watch: Watch, train: Train | None) -> Outcome:
    """Train, with the recipe beside what will be the adapter."""
    import torch

    from mistral_cli.commands.threads import choose_threads
    from mistral_cli.tune.events import Job
    from mistral_cli.weights.hub import BUILTIN, find_folder

    torch.set_num_threads(choose_threads(settings.threads, prepared.args.parameters))
    is_folder = prepared.name != BUILTIN and find_folder(prepared.name) is not None
    job = Job(
        model_folder=prepared.path,
        recipe=prepared.recipe,
        train=prepared.data.train,
        apart=prepared.data.apart,
        folder=ask.folder,
        adapter=prepared.base.begun.folder if prepared.base.begun else None,
        resume=ask.resume,
        base=str(prepared.path.resolve()) if is_folder else prepared.name,
    )
    with _folder(ask, prepared):
        watch.console.status(f"Loading {prepared.name} …")
        try:
            if processes() > 1:
                watch.listen()
            outcome = (train or _by_transformers())(job, watch, watch.stopping)
        finally:
            watch.close()
    gc.collect()
    return outcome


def _by_transformers() -> Train:
    from mistral_cli.tune.train import train

    return train


@contextlib.contextmanager
def _folder(ask: Ask, prepared: Prepared) -> Iterator[None]:
    """Make the folder with the recipe in it; where a training leaves nothing else of worth there, neither stays."""
    if not is_main_process():
        yield
        return
    from mistral_cli.tune.training.checkpoints import FOLDER

    make_folder(ask.folder)
    recipe = ask.folder / RECIPE
    command = ascii(" ".join(_command(ask, resume=False)))[1:-1]  # a comment of TOML holds no control character
    write_beside(recipe, f"# {command}\n{prepared.recipe.as_toml()}")
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            (ask.folder / FOLDER).rmdir()  # if no checkpoint is in it
        if {entry.name for entry in ask.folder.iterdir()} == {RECIPE}:
            recipe.unlink()
            with contextlib.suppress(OSError):
                ask.folder.rmdir()
        raise


def _command(ask: Ask, *, resume: bool) -> list[str]:
    """Return the command that trains this, as it may be typed."""
    flags = {name: getattr(ask.flags, name) for name in ("format", "source", "target", "subset", "split")}
    words = ["mistral", "tune", ask.model, "--data", ask.data, "-o", str(ask.folder)]
    words += [word for name, value in flags.items() if value is not None for word in (f"--{name}", value)]
    words += [word for value in ask.flags.map or () for word in ("--map", value)]
    words += ["--revision", ask.revision] if ask.revision else []
    return [shlex.quote(word) for word in [*words, *(["--resume"] if resume else [])]]


def _stopped(ask: Ask, outcome: Outcome, showing: Showing, console: Console) -> int:
    said = f"Stopped after step {outcome.steps:,}, which is saved. To go on:"
    show_command(said, " ".join(_command(ask, resume=True)), console)
    if showing.as_object and is_main_process():
        console.json(as_json(outcome))
    return INTERRUPTED
