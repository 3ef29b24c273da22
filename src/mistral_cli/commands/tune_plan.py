"""A training before it begins, in words and as an object: what learns, on what, for how long, in which memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mistral_cli.commands.sizes import counted, size
from mistral_cli.commands.tune_prepare import Prepared, processes
from mistral_cli.errors import OutOfMemoryError

if TYPE_CHECKING:
    from mistral_cli.tune.plan import Memory


def refusal(prepared: Prepared, free: int) -> OutOfMemoryError | None:
    """Return why the training cannot be done in ``free`` bytes; None where it can."""
    from mistral_cli.tune.plan import check_memory

    try:
        check_memory(prepared.base, prepared.recipe, prepared.load, free)
    except OutOfMemoryError as error:
        return error
    return None


def plan_rows(prepared: Prepared, free: int) -> Iterator[tuple[str, str]]:
    """Yield label and text of each line."""
    from mistral_cli.tune.count import count_adapter

    recipe, count = prepared.recipe, count_adapter(prepared.args, prepared.recipe, prepared.base.begun)
    yield "model", f"{prepared.name}, {prepared.base.scheme(recipe).replace('none', 'not quantized')}"
    yield (
        "trained",
        f"{count.trained:,} of {count.total:,} parameters ({count.share:.2%}): "
        f"{counted(count.adapters, 'adapter')} of rank {recipe.rank:,} on {recipe.targets}",
    )
    if recipe.adapter:
        yield "goes on", f"from {recipe.adapter}"
    yield "data", _data(prepared)
    if prepared.data.apart:
        yield "apart", f"{counted(len(prepared.data.apart), 'sample')} kept apart, asked before and after"
    yield "steps", _steps(prepared)
    yield "memory", _memory(_planned(prepared), prepared, free)


def _planned(prepared: Prepared) -> Memory:
    from mistral_cli.tune.plan import plan_memory

    return plan_memory(prepared.base, prepared.recipe, prepared.load)


def _data(prepared: Prepared) -> str:
    data = prepared.data
    rows = counted(data.rows, "row")
    if data.dataset is None:
        return f"{rows}; tokens are not known without a tokenizer ({data.problem.rstrip('.')})"
    kinds = ", ".join(data.dataset.kinds)
    count, tokens = len(data.dataset.samples), data.dataset.tokens
    learnt = data.dataset.trained_tokens
    return f"{counted(count, 'sample')} of {rows} ({kinds}): {tokens:,} tokens, of which {learnt:,} are learnt"


def _steps(prepared: Prepared) -> str:
    recipe = prepared.recipe
    rows = "sequences" if recipe.packing else "samples"
    at_once = recipe.batch * recipe.accumulate * processes()
    asked = f"{recipe.steps:,} {'was' if recipe.steps == 1 else 'were'} asked for"
    how = asked if recipe.steps else f"{recipe.epochs:g} × {prepared.sequences:,} {rows}"
    about = "" if prepared.data.dataset else ", if each row is one sample"
    return f"{prepared.steps:,} of up to {at_once:,} {rows} ({how}{about})"


def _memory(memory: Memory, prepared: Prepared, free: int) -> str:
    widest = "logits" if memory.logits >= memory.layer else "one layer at work"
    parts = {
        "weights": memory.weights,
        "adapter and optimizer": memory.adapter,
        "activations": memory.activations,
        widest: memory.widest,
        "program": memory.program,
    }
    told = ", ".join(f"{name} {size(nbytes)}" for name, nbytes in parts.items())
    tokens = f"{prepared.recipe.batch:,} × {prepared.load.longest:,} tokens"
    return f"{size(memory.total)} for {tokens}, of {size(free)} free: {told}"


def plan_json(prepared: Prepared, free: int) -> dict[str, object]:
    """Return the same for a program; None where something is not known."""
    from mistral_cli.tune.count import count_adapter

    count, memory = count_adapter(prepared.args, prepared.recipe, prepared.base.begun), _planned(prepared)
    data, dataset = prepared.data, prepared.data.dataset
    return {
        "model": prepared.name,
        "path": str(prepared.path),
        "recipe": prepared.recipe.values(),
        "adapters": count.adapters,
        "trained": count.trained,
        "total": count.total,
        "rows": data.rows,
        "bad_rows": len(data.bad),
        "kinds": dict(dataset.kinds) if dataset else None,
        "samples": len(dataset.samples) if dataset else None,
        "cut": dataset.cut if dataset else None,
        "dropped": dataset.dropped if dataset else None,
        "tokens": dataset.tokens if dataset else None,
        "learnt_tokens": dataset.trained_tokens if dataset else None,
        "kept_apart": len(data.apart) if dataset else None,
        "sequences": prepared.sequences,
        "longest": prepared.load.longest if dataset else None,
        "steps": prepared.steps,
        "memory": {
            "weights": memory.weights,
            "mapped": memory.mapped,
            "adapter": memory.adapter,
            "activations": memory.activations,
            "logits": memory.logits,
            "layer": memory.layer,
            "program": memory.program,
            "total": memory.total,
            "free": free,
            "fits": memory.total <= free,
        },
    }
