"""The adapters of one model: put on, weighed, taken off again without a trace. Knows modules and adapters' files."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from mistral_cli.errors import UsageError
from mistral_cli.weights.adapters.files import AdapterFiles, find_adapter, match_adapter
from mistral_cli.weights.adapters.linear import LoraLinear
from mistral_cli.weights.adapters.pairs import adapter_dtype, read_pairs

if TYPE_CHECKING:
    from pathlib import Path

    from mistral_cli.model.transformer import Mistral


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """An adapter on a model."""

    name: str
    files: AdapterFiles
    strength: float
    """What its own scaling is multiplied with; 1 is as trained."""


class Adapters:
    """What is attached to ``model``; off is bit for bit what never loaded is, as the very modules come back.

    Args:
        model: full-precision or quantized, in evaluation mode.
    """

    def __init__(self, model: Mistral) -> None:
        self._model = model
        self._attached: dict[str, Attached] = {}

    @property
    def attached(self) -> tuple[Attached, ...]:
        """The adapters in the order in which they were loaded."""
        return tuple(self._attached.values())

    def load(self, folder: Path, strength: float = 1.0, *, name: str | None = None) -> Attached:
        """Put the adapter in ``folder`` onto the model, beside those that are there.

        Nothing of the model has changed where it cannot be.

        Args:
            folder: what PEFT or ``mistral tune`` wrote.
            strength: what its own scaling is multiplied with.
            name: what it is called from now on; the folder's name by default. One of that name is replaced.

        Raises:
            ModelNotFoundError, CheckpointError: as ``find_adapter``, ``match_adapter`` and ``read_pairs``.
            UsageError: a strength that is no number.
        """
        check_strength(strength)
        files = find_adapter(folder)
        match_adapter(files, self._model.args)
        device = self._model.device
        pairs = read_pairs(files, adapter_dtype(self._model.dtype, device), device)
        attached = Attached(name=name or folder.resolve().name, files=files, strength=strength)
        self.off(attached.name)
        for module, pair in pairs.items():
            layer = self._lora(module)
            layer.pairs[attached.name], layer.strengths[attached.name] = pair, strength
        self._attached[attached.name] = attached
        return attached

    def scale(self, name: str, strength: float) -> Attached:
        """Weigh an adapter anew.

        Raises:
            UsageError: none of that name is loaded, or a strength that is no number.
        """
        check_strength(strength)
        if name not in self._attached:
            loaded = ", ".join(self._attached) or "none"
            raise UsageError(f"No adapter {name!r:.80} is loaded (loaded: {loaded}).", "Load it first.")
        files = self._attached[name].files
        for module in files.layers:
            self._lora(module).strengths[name] = strength
        self._attached[name] = Attached(name=name, files=files, strength=strength)
        return self._attached[name]

    def off(self, name: str | None = None) -> None:
        """Take the adapter of that name off the model, all by default; nothing happens where there is none."""
        for gone in [name] if name is not None else list(self._attached):
            attached = self._attached.pop(gone, None)
            for module in attached.files.layers if attached else ():
                self._take_off(module, gone)

    def _lora(self, module: str) -> LoraLinear:
        """Return the layer that carries adapters at ``module``, put there now if it was not."""
        found = self._model.get_submodule(module)
        if not isinstance(found, LoraLinear):
            found = LoraLinear(found).train(found.training)
            self._model.set_submodule(module, found)
        return found

    def _take_off(self, module: str, name: str) -> None:
        layer = cast("LoraLinear", self._model.get_submodule(module))
        del layer.pairs[name], layer.strengths[name]
        if not layer.pairs:
            self._model.set_submodule(module, layer.base)


def check_strength(strength: float) -> None:
    """Refuse a strength that is no finite number."""
    if not math.isfinite(strength):
        raise UsageError(f"An adapter's scale is {strength}, but must be a number.", "1 is as it was trained.")
