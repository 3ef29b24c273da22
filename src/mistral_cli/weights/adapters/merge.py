"""A checkpoint and its adapters become one checkpoint, tensor by tensor: no whole model in memory. No terminal.

It is written beside its place and renamed, so that a folder of that name is whole.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import torch

from mistral_cli.errors import MistralError, UsageError
from mistral_cli.weights.adapters.attached import check_strength
from mistral_cli.weights.adapters.files import find_adapter
from mistral_cli.weights.adapters.fitting import check_adapters
from mistral_cli.weights.adapters.pairs import read_pairs
from mistral_cli.weights.bitsandbytes_form import QuantizedForm, check_form, check_scheme
from mistral_cli.weights.checkpoint import check_tied
from mistral_cli.weights.config import read_args
from mistral_cli.weights.export_config import is_copied, plain_config
from mistral_cli.weights.files import find_files, read_tensors
from mistral_cli.weights.formats import EMBEDDING, LM_HEAD, main_dtype, match_tensors
from mistral_cli.weights.mapped_tensors import STORED, filled, stream
from mistral_cli.weights.new_folder import check_target, copy, nearest_folder, write_json, written_beside
from mistral_cli.weights.new_shards import NewShards
from mistral_cli.weights.prequantized import stated_scheme

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from mistral_cli.model.args import ModelArgs
    from mistral_cli.weights.adapters.pairs import LoraPair
    from mistral_cli.weights.files import CheckpointFiles
    from mistral_cli.weights.formats import Source

_CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What came of it."""

    nbytes: int
    layers: int
    """How many have other weights now."""


def merge(  # noqa: PLR0913 (what is merged, and how it is written)
    source: Path,
    adapters: Sequence[tuple[str, float]],
    target: Path,
    *,
    dtype: torch.dtype | None = None,
    scheme: str | None = None,
    force: bool = False,
    beside: Mapping[str, Path] = MappingProxyType({}),
    progress: Callable[[int, int], None] | None = None,
) -> Merged:
    """Write the model in the folder ``source`` with its adapters in its weights into the new folder ``target``.

    ``W + Σ strength · scaling · up @ down`` in float32 (float64 where the weights are), then rounded once: Hu et al.
    (arXiv:2106.09685), section 4.1. The folder is in Hugging Face's format.

    Args:
        source: a full-precision checkpoint in either format.
        adapters: folder or hub id, and what the adapter's own scaling is multiplied with.
        target: a folder that is not there or empty.
        dtype: of the new weights; by default what each of the old ones has.
        scheme: what the merged weights are quantized to, ``nf4`` or ``int8``, in bitsandbytes' format; by default they
            are not. They are rounded to ``dtype``, by default that of most of the old ones, before.
        force: replace ``target`` where it holds a model.
        beside: files that are not in ``source`` and go with the model, by the names that they get.
        progress: called after each tensor with the bytes read and the bytes of all.

    Raises:
        UsageError: the model is quantized; the folder is none for this; a strength that is no number.
        ModelNotFoundError, CheckpointError: anything about the files of ``source`` or of an adapter.
        MistralError: ``target`` cannot be written, there is no room for it, or a number is too large for ``dtype``.
    """
    if scheme is not None:
        check_scheme(scheme)
    check_target(source, target, force=force)
    plan = _Plan.of(source, adapters, dtype, scheme)
    free, needed = shutil.disk_usage(nearest_folder(target)).free, plan.nbytes
    if free < needed:
        raise MistralError(f"{needed:,} bytes are needed in {target}, but {free:,} are free.", "Free some space.")
    with written_beside(target) as temporary:
        shards = NewShards(folder=temporary)
        for name, tensor in plan.tensors(progress):
            shards.add(plan.form.tensors(name, tensor) if plan.form else {name: tensor})
        shards.finish()
        _write_small_files(plan, temporary)
        for name, file in beside.items():
            copy(file, temporary / name)
    return Merged(nbytes=shards.nbytes, layers=len(plan.updates))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What becomes what."""

    files: CheckpointFiles
    args: ModelArgs
    dtype: torch.dtype | None
    form: QuantizedForm | None
    sources: dict[str, Source]
    updates: dict[str, list[tuple[LoraPair, float]]]
    """Layer -> the matrices that are added to it, each with its factor."""

    @classmethod
    def of(
        cls, source: Path, adapters: Sequence[tuple[str, float]], dtype: torch.dtype | None, scheme: str | None
    ) -> _Plan:
        files = find_files(source)
        args, own = read_args(files.config), stated_scheme(files.config)
        if own:
            raise UsageError(
                f"The weights in {source} are quantized to {own}, and nothing can be added to them.",
                "Name the model before that; --quantize makes the merged one as small.",
            )
        if scheme:
            check_form(args, scheme)
        folders = check_adapters(source, [name for name, _ in adapters])
        sources = match_tensors(read_tensors(files), args, source)
        if args.tie_word_embeddings and LM_HEAD in sources:
            check_tied(sources[EMBEDDING], sources.pop(LM_HEAD))
        main = STORED[main_dtype(found.tensor for found in sources.values())]
        exact, dtype = _exact(main), dtype or (main if scheme else None)
        form = QuantizedForm(args=args, scheme=scheme, dtype=dtype) if scheme and dtype else None
        updates: dict[str, list[tuple[LoraPair, float]]] = {}
        for folder, (_, strength) in zip(folders, adapters, strict=True):
            check_strength(strength)
            for layer, pair in read_pairs(find_adapter(folder), exact, _CPU).items():
                updates.setdefault(layer, []).append((pair, strength * pair.scaling))
        return cls(files=files, args=args, dtype=dtype, form=form, sources=sources, updates=updates)

    @property
    def nbytes(self) -> int:
        if self.form:
            return self.form.nbytes
        kinds = {name: self._dtype(source) for name, source in self.sources.items()}
        return sum(kinds[name].itemsize * _count(source.tensor.shape) for name, source in self.sources.items())

    @property
    def config(self) -> dict[str, object]:
        values = self.form.config(self.files.config) if self.form else plain_config(self.files.config, self.args)
        kind = self.dtype or STORED[main_dtype(found.tensor for found in self.sources.values())]
        name = str(kind).removeprefix("torch.")
        return {**values, **{key: name for key in ("torch_dtype", "dtype") if key in values}}

    def tensors(self, progress: Callable[[int, int], None] | None) -> Iterator[tuple[str, Tensor]]:
        """Yield each tensor of the new checkpoint by its name."""
        for name, source, content in stream(self.sources, progress):
            dtype, updates = self._dtype(source), self.updates.get(name.removesuffix(".weight"))
            if not updates:
                yield name, filled(source, content, dtype, _CPU)
                continue
            weight = filled(source, content, updates[0][0].up.dtype, _CPU)
            for pair, factor in updates:
                weight += (pair.up @ pair.down) * factor
            merged = weight.to(dtype)
            if not merged.isfinite().all():
                raise MistralError(f"{name} does not fit into {dtype} any more.", "Take --dtype bfloat16.")
            yield name, merged

    def _dtype(self, source: Source) -> torch.dtype:
        return self.dtype or STORED[source.tensor.dtype]


def _exact(dtype: torch.dtype) -> torch.dtype:
    """Return the type to compute in."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def _count(shape: Sequence[int]) -> int:
    return int(torch.Size(shape).numel())


def _write_small_files(plan: _Plan, folder: Path) -> None:
    """Write the config; copy the tokenizer and what a generation begins with."""
    write_json(folder / "config.json", plan.config)
    for file in sorted(plan.files.config.parent.iterdir()):
        if file.is_file() and is_copied(file.name):
            copy(file, folder / file.name)
