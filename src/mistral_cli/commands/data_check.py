"""``mistral data check``: what a training would learn from data, in figures and samples. Loads no weights, no torch."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final, Literal

from mistral_cli.commands.sizes import counted
from mistral_cli.commands.tokens import find_tokenizer
from mistral_cli.commands.training_data import DataFlags
from mistral_cli.errors import PartialFailureError
from mistral_cli.settings.options import Settings
from mistral_cli.ui.columns import labelled
from mistral_cli.ui.console import Console
from mistral_cli.ui.marked import marked

if TYPE_CHECKING:
    from mistral_cli.text.tokenizer import Tokenizer
    from mistral_cli.tune.dataset import Dataset
    from mistral_cli.tune.repeats import Repeat
    from mistral_cli.tune.samples import Sample
    from mistral_cli.tune.survey import Lengths, Packed

EXAMPLES: Final = 2
SHOWN: Final = 20
"""Rows that cannot be used, or are there again, of all that are counted."""
_LONGEST: Final = 600
"""Characters of a part of an example, for a person."""
_WORDS: Final = ("given", "learnt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What the flags say; None: as a recipe has it."""

    data: str
    flags: DataFlags
    length: int | None
    loss: Literal["answers", "all"] | None
    examples: int | None
    tokenizer: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What there is to say."""

    name: str
    length: int
    loss: Literal["answers", "all"]
    encoder: str
    """Whose tokenizer it is, as a person names it."""
    tokenizer: Tokenizer
    dataset: Dataset
    lengths: Lengths
    packed: Packed
    examples: tuple[Sample, ...]

    @property
    def bad(self) -> str:
        """Say how many rows cannot be used."""
        return f"{len(self.dataset.bad):,} of {counted(self.dataset.rows, 'row')} cannot be used"


def check(ask: Ask, settings: Settings, console: Console, *, as_object: bool) -> None:
    """Read the data as a training would, and show what it finds.

    Raises:
        PartialFailureError: some rows cannot be used; all that there is to say was said.
        UsageError: flags that cannot be; with ``--strict``, the first row that cannot be used.
        MistralError: the data cannot be read, or no row of it can be used.
    """
    found = _read(ask, settings, console)
    if as_object:
        console.json(_object(found))
    else:
        columns = console.out.columns if console.out.is_terminal else None
        console.line("\n".join(labelled(list(_rows(found)), columns)))
        for sample in found.examples:
            _show(sample, found, console)
    if found.dataset.bad:
        raise PartialFailureError(f"{found.bad}.", "A training leaves them out; with --strict it does not begin.")


def _read(ask: Ask, settings: Settings, console: Console) -> _Found:
    from mistral_cli.tune.dataset import make_dataset
    from mistral_cli.tune.recipe import Recipe
    from mistral_cli.tune.survey import Lengths, Packed
    from mistral_cli.weights.hub import default_model, full_name

    recipe = Recipe().with_values({"length": ask.length, "loss": ask.loss})
    loss = ask.loss or "answers"
    reading = ask.flags.reading(loss=loss, length=recipe.length)
    tokenizer = find_tokenizer(settings, ask.tokenizer)
    if tokenizer.notice:
        console.notice(tokenizer.notice)
    dataset = make_dataset(ask.flags.rows(ask.data, console), tokenizer, reading)
    count = EXAMPLES if ask.examples is None else ask.examples
    return _Found(
        name=ask.data,
        length=recipe.length,
        loss=loss,
        encoder=ask.tokenizer or full_name(settings.model or default_model()),
        tokenizer=tokenizer,
        dataset=dataset,
        lengths=Lengths.of(dataset.lengths),
        packed=Packed.of(dataset, recipe.length),
        examples=dataset.samples[:count],
    )


# -- for a person ------------------------------------------------------------------------------------------------------


def _rows(found: _Found) -> Iterator[tuple[str, str]]:
    """Yield label and text of each line."""
    dataset, lengths = found.dataset, found.lengths
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in dataset.kinds.items())
    yield "data", found.name
    yield "rows", f"{dataset.rows:,}: {kinds}" + "".join(_also(found))
    yield "tokenizer", f"{found.encoder} ({found.tokenizer.version})"
    yield "samples", _samples(found)
    learnt = dataset.trained_tokens / dataset.tokens
    yield "tokens", f"{dataset.tokens:,}, of which {dataset.trained_tokens:,} are learnt ({learnt:.0%})"
    yield (
        "lengths",
        f"{lengths.least:,} to {lengths.most:,} tokens; half have {lengths.median:,} or fewer, 95 of 100 have "
        f"{lengths.p95:,} or fewer",
    )
    yield "--length", _cut(found)
    packed = found.packed
    yield (
        "--packing",
        f"{counted(packed.sequences, 'sequence')} instead of {len(dataset.samples):,}, {packed.filled:.0%} filled",
    )
    same, asked = (_repeats(found, whole=whole) for whole in (True, False))
    yield from _listed("repeated", [f"row {one.number:,} says what row {one.first:,} does" for one in same])
    words = "asks what row {:,} does, and answers otherwise"
    yield from _listed("asked again", [f"row {one.number:,} {words.format(one.first)}" for one in asked])
    yield from _listed("not usable", [f"row {row.number:,}: {row.reason}" for row in dataset.bad])


def _also(found: _Found) -> Iterator[str]:
    """Yield what else is to be said of the rows, in a few words."""
    counts = {
        "not usable": len(found.dataset.bad),
        "repeated": len(_repeats(found, whole=True)),
        "asked again": len(_repeats(found, whole=False)),
    }
    yield from (f", {count:,} {what}" for what, count in counts.items() if count)


def _repeats(found: _Found, *, whole: bool) -> list[Repeat]:
    return [one for one in found.dataset.repeats if one.is_whole == whole]


def _listed(label: str, lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the first of many lines, the label before the first."""
    for line in lines[:SHOWN]:
        yield label, line
        label = ""
    if len(lines) > SHOWN:
        yield "", f"and {len(lines) - SHOWN:,} more (--json has all)"


def _samples(found: _Found) -> str:
    from mistral_cli.tune.samples import MOVING_SYSTEM

    count = f"{len(found.dataset.samples):,}"
    if found.tokenizer.version in MOVING_SYSTEM and len(found.dataset.lengths) > found.dataset.rows:
        return f"{count}, one for each answer: in {found.tokenizer.version} every question moves the system prompt"
    return count


def _cut(found: _Found) -> str:
    dataset = found.dataset
    parts = []
    if dataset.cut:
        lost = f" (of {dataset.dropped:,} nothing to learn is left)" if dataset.dropped else ""
        ends = "end" if dataset.cut == 1 else "ends"
        parts.append(f"cuts the {ends} of {counted(dataset.cut, 'sample')}{lost}")
    if dataset.divided:
        parts.append(f"divides {counted(dataset.divided, 'text')}")
    return f"{found.length:,} tokens: {' and '.join(parts) or 'cuts nothing'}"


def _show(sample: Sample, found: _Found, console: Console) -> None:
    parts = [(_shortened(text), is_learnt) for text, is_learnt in _parts(sample, found.tokenizer)]
    how = " (green)" if console.out.color else " (underlined)" if console.out.can_redraw else ""
    learnt = f"{sample.trained_tokens:,} of them learnt{how}"
    console.line(f"\nrow {sample.number:,}, {counted(len(sample.ids), 'token')}, {learnt}:")
    console.rendered(marked(parts, console.out, _WORDS) + "\n")


def _parts(sample: Sample, tokenizer: Tokenizer) -> Iterator[tuple[str, bool]]:
    """Yield the text of each unbroken run of ids, control tokens by their names, and whether it is learnt."""
    controls = tokenizer.control_ids
    for is_learnt, run in itertools.groupby(zip(sample.ids, sample.trained, strict=True), key=lambda pair: pair[1]):
        data = b"".join(
            (tokenizer.piece(token).encode() if token in controls else tokenizer.piece_bytes(token)) for token, _ in run
        )
        yield data.decode(errors="replace"), is_learnt


def _shortened(text: str) -> str:
    """Return a long text without its middle."""
    if len(text) <= _LONGEST:
        return text
    half = _LONGEST // 2
    return f"{text[:half]} … ({len(text) - 2 * half:,} characters more) … {text[-half:]}"


# -- for a program -----------------------------------------------------------------------------------------------------


def _object(found: _Found) -> dict[str, object]:
    dataset = found.dataset
    return {
        "data": found.name,
        "rows": dataset.rows,
        "kinds": dict(dataset.kinds),
        "bad_rows": [{"row": row.number, "reason": row.reason} for row in dataset.bad],
        "repeated_rows": [{"row": one.number, "first": one.first} for one in _repeats(found, whole=True)],
        "asked_again": [{"row": one.number, "first": one.first} for one in _repeats(found, whole=False)],
        "tokenizer": str(found.tokenizer.path),
        "version": found.tokenizer.version,
        "samples": len(dataset.samples),
        "tokens": dataset.tokens,
        "learnt_tokens": dataset.trained_tokens,
        "lengths": asdict(found.lengths),
        "length": found.length,
        "loss": found.loss,
        "cut": dataset.cut,
        "dropped": dataset.dropped,
        "divided": dataset.divided,
        "packing": asdict(found.packed),
        "examples": [
            {
                "row": sample.number,
                "tokens": len(sample.ids),
                "parts": [{"text": text, "learnt": is_learnt} for text, is_learnt in _parts(sample, found.tokenizer)],
            }
            for sample in found.examples
        ],
    }
