"""The adapters of a model of transformers, put on by peft; what is cached is forgotten as they come and go."""

from __future__ import annotations

import itertools
import re
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
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from mistral_cli.backends.hf_engine import HfEngine
    from mistral_cli.weights.adapters.files import AdapterFiles
    from mistral_cli.weights.adapters.pairs import LoraPair


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
        pairs = read_pairs(files, torch.float32, torch.device("cpu"))
        name = name or free_name(adapter_name(found), str(found), self.attached)
        if name in self._infos:
            self._take_off(name)
        self._keys[name] = f"adapter{next(self._numbers)}"
        self._put_on(files, self._keys[name])
        _fill(self._wrapped, self._keys[name], pairs)
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

    def _put_on(self, files: AdapterFiles, key: str) -> None:
        from peft import PeftModel  # noqa: PLC0415 (it may be absent)

        options, config = {"autocast_adapter_dtype": False}, _plain_config(files)
        with quiet():
            if self._wrapped is None:
                self._wrapped = PeftModel.from_pretrained(
                    self._engine.model, files.folder, adapter_name=key, config=config, **options
                )
            else:
                self._wrapped.add_adapter(key, config, **options)
                self._wrapped.load_adapter(files.folder, key, **options)

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


def _plain_config(files: AdapterFiles) -> Any:
    """Return what we know of an adapter as peft's config: each layer by its name, and nothing else of a stranger's."""
    from peft import LoraConfig  # noqa: PLC0415 (it may be absent)

    said = files.config
    return LoraConfig(
        task_type="CAUSAL_LM",
        inference_mode=True,
        r=said.rank,
        lora_alpha=said.alpha,
        use_rslora=said.rslora,
        target_modules=list(files.layers),
        rank_pattern={re.escape(name): said.rank_of(name) for name in files.layers},
        alpha_pattern={re.escape(name): said.alpha_of(name) for name in files.layers},
    )


def _fill(wrapped: Any, key: str, pairs: Mapping[str, LoraPair]) -> None:
    """Give each layer its matrices: peft passes over those that are named otherwise than it names them."""
    for name, pair in pairs.items():
        layer = wrapped.base_model.model.get_submodule(name)
        for matrix, value in ((layer.lora_A[key].weight, pair.down), (layer.lora_B[key].weight, pair.up)):
            if matrix.device.type != "meta":  # on the disk: accelerate brings it
                matrix.data.copy_(value)


def _check_fits(model: Any, files: AdapterFiles) -> None:
    """Refuse an adapter whose matrices have no linear layer of their shape in the model."""
    layers = dict(model.named_modules())
    for name, (down, up) in files.layers.items():
        layer = layers.get(name)
        shape = (getattr(layer, "out_features", None), getattr(layer, "in_features", None))
        if layer is None or None in shape:
            what = "linear layer" if layer is None else f"linear layer but {type(layer).__name__}"
            message = f"{up.file} adapts {name:.120}, which is no {what} in transformers' model."
            raise CheckpointError(message, _FUSED if ".experts" in name or name.endswith("gate") else _HINT)
        if shape != (up.shape[0], down.shape[1]):
            theirs, ours = f"{up.shape[0]} × {down.shape[1]}", f"{shape[0]} × {shape[1]}"
            message = f"{up.file} is for another model: {name:.120} is {theirs} there, {ours} here."
            raise CheckpointError(message, _HINT)


_HINT = "Use the model it was made for."
_FUSED = "transformers holds experts and their router in other forms. Our own engine takes both: --backend native."
