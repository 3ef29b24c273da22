"""Several answers side by side: each pass reads the weights once, for a token of every row. Knows no text and no file.

A prompt takes a place as one falls free, is read a chunk at a time between the decoding steps of the others, and leaves
when its answer ends. What mixes positions sees one row and its own cache at a time, and each row draws with its own
generator, so that a row's ids do not depend on its neighbours: to the last bit where the weights are quantized for our
kernels, whose sums are of integers. Products of unquantized weights are summed in an order that depends on the number
of rows; there, two tokens that are all but equally likely may change places, as they may between prompts that are read
in chunks of different lengths.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from mistral_cli.contract import PrefillProgress
from mistral_cli.engine.answer import CancelledError
from mistral_cli.engine.draw import draw_token
from mistral_cli.engine.faults import memory_errors
from mistral_cli.errors import MistralError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    from torch import Tensor

    from mistral_cli.contract import Cancel, EngineEvent, Reason, SamplingParams
    from mistral_cli.engine.answer import Answer
    from mistral_cli.engine.places import Places, Row
    from mistral_cli.model.transformer import Mistral

    RowEvent = tuple[int, EngineEvent | MistralError]
    """The number of a request, from 0, and what happened to it; an error is the last event of its row."""

NEVER = threading.Event()
"""The flag of an answer that nobody will end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """One prompt of a batch, as ids, with parameters and a flag of its own."""

    prompt: Sequence[int]
    params: SamplingParams
    cancel: Cancel = NEVER


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a batch must know of its engine."""

    begin: Callable[[TokenRequest], Answer]
    """Returns the answer to a request, or raises what is wrong with it."""
    eos: frozenset[int]
    """The ids that end an answer."""
    chunk: int
    """Prompt tokens that are read before the others decode again."""
    peak_memory: Callable[[], int]
    """Bytes, so far."""


class Batch:
    """The answers that are being made.

    Args:
        model: the decoder.
        places: where they are made.
        rules: what the engine asks for.
    """

    def __init__(self, model: Mistral, places: Places, rules: Rules) -> None:
        self._model = model
        self._places = places
        self._rules = rules

    def run(self, requests: Iterable[TokenRequest | MistralError | None]) -> Generator[RowEvent, None, None]:
        """Answer all ``requests``; see ``NativeEngine.generate_many``."""
        coming, index, is_over = iter(requests), 0, False
        while not is_over or self._places.rows:
            while not is_over and self._places.has_room:
                try:
                    request = next(coming)
                except StopIteration:
                    is_over = True
                    break
                if request is None:
                    break
                yield from self._admit(index, request)
                index += 1
            yield from self._read()
            yield from self._decode()

    def _admit(self, index: int, request: TokenRequest | MistralError) -> Iterator[RowEvent]:
        if isinstance(request, MistralError):
            yield index, request
            return
        try:
            self._places.take(index, self._rules.begin(request))
        except MistralError as error:
            yield index, error

    def _read(self) -> Iterator[RowEvent]:
        """Read a chunk of prompts: of several, where they are short."""
        read = 0
        for row in self._wanted():
            if row.last is None and read < self._rules.chunk and self._places.may_read(row):
                if not row.begun:
                    row.begun, row.answer.reused = True, len(row.place.ids)
                    yield row.index, self._progress(row)
                ids = row.next_chunk(self._rules.chunk)
                read += len(ids)
                yield from self._read_chunk(row, ids)

    def _read_chunk(self, row: Row, ids: list[int]) -> Iterator[RowEvent]:
        try:
            logits = self._compute([ids], [row], row.answer.check)
        except CancelledError:
            yield self._end(row, "cancelled")
            return
        yield row.index, self._progress(row)
        if len(row.place.ids) == len(row.answer.prompt):
            yield from self._draw(row, logits[0])

    def _decode(self) -> Iterator[RowEvent]:
        """Put the last id of each row through the model together, and draw the next of each."""
        yield from self._drop_unwanted()
        rows = [(row, row.last) for row in self._places.rows if row.last is not None]
        if not rows:
            return
        try:
            logits = self._compute([[last] for _, last in rows], [row for row, _ in rows], self._check)
        except CancelledError:
            return  # all of them; the next step says so
        for (row, _), own in zip(rows, logits, strict=True):
            yield from self._draw(row, own)

    def _wanted(self) -> list[Row]:
        return [row for row in self._places.rows if not row.answer.cancel.is_set()]

    def _drop_unwanted(self) -> Iterator[RowEvent]:
        for row in tuple(self._places.rows):
            if row.answer.cancel.is_set():
                yield self._end(row, "cancelled")

    def _check(self) -> None:
        """Leave a pass that nobody waits for any more."""
        if not self._wanted():
            raise CancelledError

    @torch.inference_mode()
    def _compute(self, ids: list[list[int]], rows: list[Row], check: Callable[[], None]) -> Tensor:
        """Put as many ids into the cache of each row; return the logits (B, V) after the last ones."""
        tokens = torch.tensor(ids, device=self._model.device)  # (B, T)
        with memory_errors():
            logits = self._model.forward_rows(tokens, [row.place.cache for row in rows], on_layer=check)  # (B, 1, V)
        for row, own in zip(rows, ids, strict=True):
            row.place.add(own)
        return logits[:, -1]

    def _draw(self, row: Row, logits: Tensor) -> Iterator[RowEvent]:
        try:
            token = draw_token(row.answer, logits)
        except MistralError as error:
            row.place.forget()
            self._places.leave(row)
            yield row.index, error
            return
        row.last = token.id
        if token.id in self._rules.eos:
            yield self._end(row, "stop")
            return
        yield row.index, token
        if row.answer.drawn == row.answer.room:
            yield self._end(row, "length")

    def _end(self, row: Row, reason: Reason) -> RowEvent:
        self._places.leave(row)
        row.answer.reason = reason
        return row.index, row.answer.done(self._rules.peak_memory())

    def _progress(self, row: Row) -> PrefillProgress:
        return PrefillProgress(len(row.place.ids), len(row.answer.prompt), row.answer.reused)
