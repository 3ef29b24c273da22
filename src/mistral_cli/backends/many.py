"""Many prompts to one back end: side by side where it can, else one after the other. Computes nothing itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from mistral_cli.errors import MistralError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mistral_cli.contract import Backend, Cancel, Event, Prompt, SamplingParams, Tool

    Reply = tuple[int, Event | MistralError]
    """The number of a request, from 0, and what happened to it: the events of ``Backend.stream``, or its error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One prompt of many, with parameters and a flag of its own."""

    prompt: Prompt
    params: SamplingParams
    tools: Sequence[Tool] = ()
    cancel: Cancel | None = None


@runtime_checkable
class SideBySide(Protocol):
    """A back end that can answer several prompts at once."""

    def stream_many(self, requests: Iterable[Request | None], *, rows: int | None = None) -> Iterator[Reply]:
        """See the function ``stream_many``."""
        ...


def stream_many(backend: Backend, requests: Iterable[Request | None], *, rows: int | None = None) -> Iterator[Reply]:
    """Answer ``requests``; yield the number of each, from 0, with each of its events, as they come.

    The last event of a request is ``Done``, or the error that ended it, which does not touch the others.

    Args:
        backend: what answers.
        requests: taken one by one, when there is a place for one. None: there is none yet, go on with the others.
        rows: answers side by side at most; 1: strictly one after the other; None: as many as the back end planned for.

    Raises:
        OutOfMemoryError: no memory for what several compute together; this ends all of them. Of answers made one after
            the other it ends its own, as any error does: the next prompt may be shorter.
    """
    if rows != 1 and isinstance(backend, SideBySide):
        return backend.stream_many(requests, rows=rows)
    return _one_by_one(backend, requests)


def _one_by_one(backend: Backend, requests: Iterable[Request | None]) -> Iterator[Reply]:
    for index, request in enumerate(request for request in requests if request is not None):
        try:
            for event in backend.stream(request.prompt, request.params, tools=request.tools, cancel=request.cancel):
                yield index, event
        except MistralError as error:
            yield index, error
