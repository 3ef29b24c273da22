"""The adapters of a model of transformers, put on by peft; what is cached is forgotten as they come and go."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from mistral_cli.adapting import AdapterInfo, free_name
from mistral_cli.backends.hf_model import require
from mistral_cli.backends.hf_quiet import quiet
from mistral_cli.errors import CheckpointError, UsageError
from mistral_cli.weights.adapters.attached import check_strength
from mistral_cli.weights.adapters.files import find_adapter
from mistral_cli.weights.adapters.pairs import read_pairs
from mistral_cli.weights.adapters.places import adapter_folder, adapter_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mistral_cli.backends.hf_engine import HfEngine
    from mistral_cli.weights.adapters.files import AdapterFiles


class HfAdapters:
    """See ``adapting.Adapters``. The layers under the adapters stay the very modules that they were.

    Args:
        engine: whose model they are put on.
        changed: told what is on the model each time that changes.
    """

    def __init__(self, engine: HfEngine, changed: Callable[[tuple[AdapterInfo, ...]], None]) -> None:
        self._engine = engine
        self._changed = changed
        self._wrapped: Any = None
        """peft's model around ours; None where no adapter is on it."""
        self._keys: dict[str, str] = {}
        """Name -> what peft calls it: its names may have no dots."""
        self._infos: dict[str, AdapterInfo] = {}
        self._numbers = itertools.count()

    @property
    def attached(self) -> tuple[AdapterInfo, ...]:
        """What is on the model now, in the order in which it was loaded."""
        return tuple(self._infos.values())

    def load(self, folder: Path | str, strength: float = 1.0, *, name: str | None = None) -> AdapterInfo:
        """Put the adapter in ``folder`` onto the model; see ``adapting.Adapters.load``.

        Raises:
            UsageError: peft is not installed, or a strength that is no number.
            ModelNotFoundError, CheckpointError: it is not there, not sound, or for another model.
        """
        require("peft")
        check_strength(strength)
        found = adapter_folder(str(folder)).absolute()
        files = find_adapter(found)
        _check_fits(self._engine.model, files)
        read_pairs(files, torch.float32, torch.device("cpu"))  # refuses NaN
        name = name or free_name(adapter_name(found), str(found), self.attached)
        if name in self._infos:
            self._take_off(name)
        self._keys[name] = f"adapter{next(self._numbers)}"
        self._put_on(found, self._keys[name])
        self._infos[name] = AdapterInfo(
            name=name,
            path=str(found),
            strength=strength,
            rank=files.config.rank,
            parameters=files.parameters,
            base=files.config.base,
        )
        self._say_changed()
        return self._infos[name]

    def scale(self, name: str, strength: float) -> AdapterInfo:
        """Weigh an adapter anew; see ``adapting.Adapters.scale``."""
        check_strength(strength)
        if name not in self._infos:
            loaded = ", ".join(self._infos) or "none"
            raise UsageError(f"No adapter {name!r:.80} is loaded (loaded: {loaded}).", "Load it first.")
        self._infos[name] = replace(self._infos[name], strength=strength)
        self._say_changed()
        return self._infos[name]

    def off(self, name: str | None = None) -> None:
        """Take one adapter off the model, all by default."""
        for gone in [name] if name is not None else list(self._infos):
            if gone in self._infos:
                self._take_off(gone)
        self._say_changed()

    def _put_on(self, folder: Path, key: str) -> None:
        from peft import PeftModel  # noqa: PLC0415 (it may be absent)

        options = {"adapter_name": key, "autocast_adapter_dtype": False}
        with quiet():
            if self._wrapped is None:
                self._wrapped = PeftModel.from_pretrained(self._engine.model, folder, **options)
            else:
                self._wrapped.load_adapter(folder, **options)

    def _take_off(self, name: str) -> None:
        del self._infos[name]
        key = self._keys.pop(name)
        if self._infos:
            self._wrapped.delete_adapter(key)
        else:
            self._wrapped.unload()
            self._wrapped = None

    def _say_changed(self) -> None:
        """Let all that are on the model count, each as strong as it should be."""
        if self._wrapped is not None:
            self._wrapped.base_model.set_adapter([*self._keys.values()], inference_mode=True)
            for module in self._wrapped.modules():
                for name, key in self._keys.items() if hasattr(module, "set_scale") else ():
                    module.set_scale(key, self._infos[name].strength)
        self._engine.model_changed()
        self._changed(self.attached)


def _check_fits(model: Any, files: AdapterFiles) -> None:
    """Refuse an adapter whose matrices have no layer of their shape in the model."""
    layers = dict(model.named_modules())
    for name, (down, up) in files.layers.items():
        layer = layers.get(name)
        if layer is None:
            raise CheckpointError(f"{up.file} adapts {name:.120}, which this model does not have.", _HINT)
        shape = (getattr(layer, "out_features", None), getattr(layer, "in_features", None))
        if shape != (up.shape[0], down.shape[1]):
            theirs, ours = f"{up.shape[0]} × {down.shape[1]}", f"{shape[0]} × {shape[1]}"
            message = f"{up.file} is for another model: {name:.120} is {theirs} there, {ours} here."
            raise CheckpointError(message, _HINT)


_HINT = "Use the model it was made for."
