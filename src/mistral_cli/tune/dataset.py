"""A file becomes samples: read, understood, encoded, cut, split. Counts all that is left out; knows no tensor."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mistral_cli.errors import MistralError, UsageError
from mistral_cli.tune.formats import FORMATS, Completion, build_example, find_format, renamed
from mistral_cli.tune.repeats import Repeats, same_rows
from mistral_cli.tune.samples import divided, make_samples, shortened

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mistral_cli.text.tokenizer import Tokenizer
    from mistral_cli.tune.formats import Example, Format, Languages
    from mistral_cli.tune.repeats import Repeat
    from mistral_cli.tune.rows import Row
    from mistral_cli.tune.samples import Loss, Sample

MOST_TOLD = 5
"""Bad rows that are shown, of all that are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How rows are to be understood."""

    format: str | None = None
    """A name of ``FORMATS``; None: what the first good row has columns for."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Our name of a column -> the data's own."""
    languages: Languages | None = None
    loss: Loss = "answers"
    length: int = 1024
    """Ids of a sample at most."""
    strict: bool = False
    """The first bad row ends it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRow:
    """A row that teaches nothing, and why."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """What a file teaches."""

    samples: tuple[Sample, ...]
    rows: int
    """All there are, bad ones among them."""
    kinds: Mapping[str, int]
    """Name of a format -> how many rows were of it."""
    bad: tuple[BadRow, ...]
    lengths: tuple[int, ...]
    """Ids of every sample before anything was cut or divided."""
    divided: int
    """Plain texts that were longer than allowed, and became several samples."""
    cut: int
    """Other samples that were longer than allowed; what stands in ``samples`` of them is their beginning."""
    dropped: int
    """Samples of which nothing that is trained would have been left."""
    repeats: tuple[Repeat, ...] = ()
    """Rows that say, or ask, what a row before them does."""

    @property
    def tokens(self) -> int:
        """Ids of all samples."""
        return sum(len(sample.ids) for sample in self.samples)

    @property
    def trained_tokens(self) -> int:
        """Ids that the model is to learn to write."""
        return sum(sample.trained_tokens for sample in self.samples)


def read_examples(rows: Iterable[Row], reading: Reading) -> Iterator[tuple[int, str, Example | BadRow]]:
    """Yield the number of each row, its format's name and what it teaches, or what is wrong with it.

    Raises:
        UsageError: a format that there is not; a row that is wrong, where ``strict`` is wanted.
    """
    form = _named(reading.format)
    for row in rows:
        chosen = form or _guessed(row, reading)
        try:
            if chosen is None:
                raise UsageError(_no_kind(row))
            yield row.number, chosen.name, build_example(row, chosen, reading.columns, reading.languages)
        except UsageError as error:
            bad = BadRow(number=row.number, reason=_reason(error))
            if reading.strict:
                raise _wrong(bad) from error
            yield row.number, "", bad


def make_dataset(rows: Iterable[Row], tokenizer: Tokenizer, reading: Reading) -> Dataset:
    """Return all that rows teach, as ids.

    Raises:
        UsageError: as ``read_examples``.
        MistralError: not one row could be used; the message tells the first reasons.
    """
    made = _Made()
    for number, kind, example in read_examples(rows, reading):
        made.rows += 1
        if isinstance(example, BadRow):
            made.bad.append(example)
            continue
        encoded = _encoded(tokenizer, example, reading, number)
        if isinstance(encoded, BadRow):
            made.bad.append(encoded)
            continue
        made.kinds[kind] = made.kinds.get(kind, 0) + 1
        made.repeats.look(number, example)
        bos = tokenizer.bos_id if isinstance(example, Completion) and not example.prompt else None
        for sample in encoded:
            made.add(sample, reading.length, bos)
    if not made.samples:
        raise _nothing(made, reading)
    return Dataset(
        samples=tuple(made.samples),
        rows=made.rows,
        kinds=made.kinds,
        bad=tuple(made.bad),
        lengths=tuple(made.lengths),
        divided=made.divided,
        cut=made.cut,
        dropped=made.dropped,
        repeats=tuple(made.repeats.found),
    )


@dataclass(slots=True)
class _Made:
    """A data set that grows; the fields are those of ``Dataset``."""

    samples: list[Sample] = field(default_factory=list)
    rows: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    bad: list[BadRow] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    divided: int = 0
    cut: int = 0
    dropped: int = 0
    repeats: Repeats = field(default_factory=Repeats)

    def add(self, sample: Sample, length: int, bos: int | None) -> None:
        """Add a sample, of at most ``length`` ids when it is there; one of plain text says what id begins a text."""
        self.lengths.append(len(sample.ids))
        is_long = len(sample.ids) > length
        if bos is not None:
            self.divided += is_long
            self.samples += divided(sample, length, bos)
            return
        self.cut += is_long
        fitting = shortened(sample, length)
        self.dropped += fitting is None
        self.samples += [fitting] if fitting is not None else []


def _encoded(tokenizer: Tokenizer, example: Example, reading: Reading, number: int) -> list[Sample] | BadRow:
    try:
        return make_samples(tokenizer, example, loss=reading.loss, number=number)
    except UsageError as error:
        bad = BadRow(number=number, reason=_reason(error))
        if reading.strict:
            raise _wrong(bad) from error
        return bad


def split(samples: Sequence[Sample], share: float, seed: int) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """Return the samples to train on and those kept apart, of whole rows; the same for the same seed and rows.

    Which row goes where depends on the row's number and the seed alone, so that a file that grows keeps its split. Rows
    that say the very same go together, to where the first goes: what was learnt would be asked else. At least one row
    stays on each side where ``share`` is above 0 and there are two different ones.
    """
    rows = sorted(same_rows(samples), key=lambda alike: _drawn(alike[0], seed))
    count = max(round(sum(map(len, rows)) * share), 1) if share and len(rows) > 1 else 0
    apart: set[int] = set()
    for alike in rows:
        if len(apart) + len(alike) <= count:
            apart.update(alike)
    if count and not apart:  # each is there more often than rows are to be kept apart
        fewest = min(rows, key=len)
        apart.update(fewest)
    trained = tuple(sample for sample in samples if sample.number not in apart)
    return trained, tuple(sample for sample in samples if sample.number in apart)


def _drawn(number: int, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{number}".encode()).digest()


def _named(name: str | None) -> Format | None:
    if name is not None and name not in FORMATS:
        raise UsageError(f"--format is {name!r:.40}, but must be one of {', '.join(FORMATS)}.")
    return FORMATS[name] if name else None


def _guessed(row: Row, reading: Reading) -> Format | None:
    if row.columns is None:
        return next(iter(FORMATS.values()))  # it says itself what is wrong with it
    return find_format(renamed(row.columns, reading.columns), reading.languages)


def _no_kind(row: Row) -> str:
    names = ", ".join(map(str, row.columns or ()))
    has = f"it has the columns {names:.120}, but" if names else "it is empty, and"
    known = "; ".join(" and ".join(form.columns) for form in FORMATS.values() if form.name != "raw")
    return f"{has} needs {known} (--map gives them other names)"


def _reason(error: UsageError) -> str:
    """Return what is wrong with a row, to stand among others: without a full stop."""
    hint = f" ({error.hint.rstrip('.')})" if error.hint else ""
    return error.message.rstrip(".") + hint


def _wrong(bad: BadRow) -> UsageError:
    return UsageError(f"Row {bad.number} of the data is wrong: {bad.reason}.", "Mend it, or leave out --strict.")


def _by_row(told: tuple[str, int]) -> int:
    return told[1]


def _nothing(made: _Made, reading: Reading) -> MistralError:
    if not made.rows:
        return MistralError("The data holds no rows.", "Check the file.")
    if made.bad:
        first = {row.reason: row.number for row in reversed(made.bad)}  # each reason once, with its first row
        told = "; ".join(f"row {number}: {reason}" for reason, number in sorted(first.items(), key=_by_row)[:MOST_TOLD])
        return MistralError(f"None of the {made.rows:,} rows can be used: {told}.", "Mend them, or see --format.")
    what = f"{made.dropped:,} of {made.dropped:,} samples have nothing to learn within --length {reading.length:,}"
    return MistralError(f"{what}.", "Raise --length.")
