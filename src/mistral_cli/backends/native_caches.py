"""The cache of our own engine on the disk: put there when a chat is left, taken back when it goes on. Knows no chat."""

from __future__ import annotations

import errno
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from mistral_cli import __version__
from mistral_cli.engine.kv_file import About, DamagedError, digest
from mistral_cli.engine.kv_tensors import add_layers, earliest, held_bytes, load_layers
from mistral_cli.engine.prefix import common_prefix
from mistral_cli.weights.files import find_files
from mistral_cli.weights.methods import method_reasons
from mistral_cli.weights.quantized_cache import model_name
from mistral_cli.weights.quantized_file import identify

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from mistral_cli.backends.native_adapters import NativeAdapters
    from mistral_cli.backends.native_plan import NativePlan
    from mistral_cli.engine.answer import Answer
    from mistral_cli.engine.generate import NativeEngine
    from mistral_cli.engine.kv_file import Kept
    from mistral_cli.engine.kv_store import KVStore
    from mistral_cli.engine.prefix import KeptSequence
    from mistral_cli.weights.quantized_file import Identity

WORTH_READING = 16
"""A cache is read from the disk where it saves so many tokens or more; fewer are computed at once."""


def identity_of(found: NativePlan) -> Identity:
    """Return what tells the weights of a model from all others, as they are computed with on this device.

    Raises:
        CheckpointError: one of its files went away.
    """
    plan = found.plan
    usable = [method for method, reason in method_reasons(plan.quantize, plan.device) if reason is None]
    return identify(
        find_files(found.folder),
        scheme=plan.quantize,
        layout=usable[0].layout + usable[0].level() if usable else "",
        device=plan.device.type,
        dtype=str(plan.dtype).removeprefix("torch."),
    )


@dataclass(slots=True, kw_only=True)
class NativeCaches:
    """What the engine holds of the last conversation, on the disk and back."""

    engine: NativeEngine
    adapters: NativeAdapters
    """Each is a part of what computes."""
    identity: Identity
    """Of the model's own weights, as they were when it was loaded."""
    folder: Path
    """Where they are."""
    _seen: list[int] = field(default_factory=list)
    """The ids that were in the cache when a chat was left: they are no news of the next one."""

    @property
    def origin(self) -> str:
        """A digest of all that keys and values depend on."""
        parts = (__version__, asdict(self.identity), self.engine.model.kv, self.adapters.identity())
        return digest(parts)

    @property
    def nbytes(self) -> int:
        """Bytes of what would be kept."""
        return held_bytes(self.engine.kept.cache)

    def put(self, store: KVStore, chat: str, check: Callable[[], None]) -> int:
        """Keep the cache of the conversation that is left; return its bytes, 0 where nothing of it is new.

        Args:
            store: where to.
            chat: its own key.
            check: called before each piece is written; what it raises ends it, and nothing is left of it.

        Raises:
            OSError: it cannot be written, or its window has moved on while a token was computed.
        """
        kept = self.engine.kept
        if not kept.ids or kept.ids == self._seen or kept.cache.padding is not None:
            return 0
        self.leave()
        if kept.cache.length != len(kept.ids):  # a signal came between the two
            raise OSError(errno.EAGAIN, "an answer was stopped in the middle of a token")
        nbytes = held_bytes(kept.cache)
        path = store.write(self._about(chat), kept.ids, nbytes, lambda writer: add_layers(writer, kept.cache), check)
        return path.stat().st_size

    def leave(self) -> None:
        """Take what is in the cache now for nothing of the conversation that comes."""
        self._seen = list(self.engine.kept.ids)

    def expect(self, store: KVStore | None) -> None:
        """Look into the store, once, when the next prompt is known; None: do not."""
        self.engine.fill_before_next(None if store is None else lambda kept, answer: self._fill(store, kept, answer))

    def _about(self, chat: str) -> About:
        kept, identity = self.engine.kept, self.identity
        form = identity.dtype if identity.scheme == "none" else f"{identity.scheme} and {identity.dtype}"
        kind = self.engine.model.kv
        return About(
            origin=self.origin,
            chat=chat,
            model=model_name(self.folder),
            form=form if kind == "none" else f"{form}, cache in {kind}",
            files=tuple(stamp.path for stamp in identity.files),
            tokens=len(kept.ids),
            firsts=tuple(layer.first for layer in kept.cache.layers),
        )

    def _fill(self, store: KVStore, kept: KeptSequence, answer: Answer) -> None:
        """Take the longest beginning of the prompt that a kept cache has, where it is worth the reading."""
        least = min(common_prefix(kept.ids, answer.prompt), len(answer.prompt) - 1) + WORTH_READING
        for found, ids, length in _fitting(store, store.of_origin(self.origin), answer.prompt):
            if length < max(least, earliest(found, kept.cache)):
                continue
            try:
                load_layers(found, ids, length, kept, answer.check)
            except DamagedError as error:
                store.drop_damaged(found.path, error)
            except OSError:
                continue
            else:
                store.note_use(found)
                return


def _fitting(store: KVStore, caches: Sequence[Kept], prompt: Sequence[int]) -> list[tuple[Kept, list[int], int]]:
    """Return the caches with their ids and how many of those the prompt begins with, the most first."""
    rows = []
    for found in caches:
        try:
            ids = found.ids()
        except OSError:
            continue
        except DamagedError as error:
            store.drop_damaged(found.path, error)
            continue
        rows.append((found, ids, min(common_prefix(ids, prompt), len(prompt) - 1)))
    return sorted(rows, key=lambda row: -row[2])
