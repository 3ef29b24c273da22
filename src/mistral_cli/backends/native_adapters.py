"""The adapters of our own engine's model: what is cached is forgotten as they come and go. Computes nothing."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from mistral_cli.adapting import AdapterInfo, free_name
from mistral_cli.engine.plan import free_memory
from mistral_cli.errors import OutOfMemoryError
from mistral_cli.weights.adapters.attached import Adapters
from mistral_cli.weights.adapters.files import find_adapter
from mistral_cli.weights.adapters.lora_config import CONFIG
from mistral_cli.weights.adapters.pairs import adapter_dtype
from mistral_cli.weights.adapters.places import adapter_folder, adapter_name
from mistral_cli.weights.quantized_file import FileStamp

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mistral_cli.engine.generate import NativeEngine
    from mistral_cli.model.transformer import Mistral
    from mistral_cli.weights.adapters.attached import Attached


class NativeAdapters:
    """See ``adapting.Adapters``.

    Args:
        engine: whose model they are put on.
        changed: told what is on the model each time that changes.
    """

    def __init__(
        self, engine: NativeEngine, changed: Callable[[tuple[AdapterInfo, ...]], None] = lambda _attached: None
    ) -> None:
        self._engine = engine
        self._changed = changed
        self._adapters = Adapters(engine.model)
        self._stamps: dict[str, list[object]] = {}

    @property
    def attached(self) -> tuple[AdapterInfo, ...]:
        """What is on the model now, in the order in which it was loaded."""
        return tuple(map(_info, self._adapters.attached))

    def load(self, folder: Path | str, strength: float = 1.0, *, name: str | None = None) -> AdapterInfo:
        """Put the adapter in ``folder`` onto the model; see ``adapting.Adapters.load``."""
        found = adapter_folder(str(folder)).absolute()
        _check_room(find_adapter(found).parameters, self._engine.model)
        name = name or free_name(adapter_name(found), str(found), self.attached)
        attached = self._adapters.load(found, strength, name=name)
        self._stamps[attached.name] = _stamps(attached)
        self._say_changed()
        return _info(attached)

    def scale(self, name: str, strength: float) -> AdapterInfo:
        """Weigh an adapter anew; see ``adapting.Adapters.scale``."""
        attached = self._adapters.scale(name, strength)
        self._say_changed()
        return _info(attached)

    def identity(self) -> list[object]:
        """Return what tells the adapters on the model now from all others: their files and weights, in order."""
        return [[self._stamps[attached.name], attached.strength] for attached in self._adapters.attached]

    def off(self, name: str | None = None) -> None:
        """Take one adapter off the model, all by default."""
        self._adapters.off(name)
        self._say_changed()

    def _say_changed(self) -> None:
        self._engine.model_changed()
        self._changed(self.attached)


def _check_room(parameters: int, model: Mistral) -> None:
    """Refuse, with both numbers, matrices for which there is no room beside the model."""
    needed, free = parameters * adapter_dtype(model.dtype, model.device).itemsize, free_memory(model.device)
    if needed > free:
        raise OutOfMemoryError(
            f"The adapter needs {needed:,} bytes, but {free:,} are free.", "Take another off, or close other programs."
        )


def _stamps(attached: Attached) -> list[object]:
    files = {tensor.file for pair in attached.files.layers.values() for tensor in pair}
    found = [FileStamp.of(file) for file in sorted({*files, attached.files.folder / CONFIG})]
    return [asdict(stamp) for stamp in found]


def _info(attached: Attached) -> AdapterInfo:
    files = attached.files
    return AdapterInfo(
        name=attached.name,
        path=str(files.folder),
        strength=attached.strength,
        rank=files.config.rank,
        parameters=files.parameters,
        base=files.config.base,
    )
