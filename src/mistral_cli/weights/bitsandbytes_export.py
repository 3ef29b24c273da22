"""A checkpoint becomes a folder in bitsandbytes' own format, which this program and transformers read. No terminal.

It is written beside its place and renamed, so that a folder of that name is whole. The weights are those that
bitsandbytes makes, with double quantization, before any packing for a processor.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import torch

from mistral_cli.errors import MistralError, UsageError
from mistral_cli.weights import bitsandbytes_4bit, bitsandbytes_8bit, bitsandbytes_library
from mistral_cli.weights.checkpoint import check_tied
from mistral_cli.weights.config import read_args
from mistral_cli.weights.export_config import exported_config, is_copied
from mistral_cli.weights.files import find_files, read_tensors
from mistral_cli.weights.formats import EMBEDDING, LM_HEAD, main_dtype, match_tensors
from mistral_cli.weights.mapped_tensors import STORED, filled, readable, stream
from mistral_cli.weights.methods import METHODS
from mistral_cli.weights.new_folder import check_target, copy, nearest_folder, write_json, written_beside
from mistral_cli.weights.new_shards import SHARD, NewShards
from mistral_cli.weights.prequantized import stated_scheme
from mistral_cli.weights.quantize import quantizable, quantized_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from torch import Tensor

    from mistral_cli.model.args import ModelArgs
    from mistral_cli.weights.files import CheckpointFiles
    from mistral_cli.weights.formats import Source
    from mistral_cli.weights.methods import Method

SCHEMES = ("nf4", "int8")
"""What bitsandbytes has a format for."""

_CPU = torch.device("cpu")


def export(
    source: Path,
    target: Path,
    scheme: str,
    *,
    force: bool = False,
    beside: Mapping[str, Path] = MappingProxyType({}),
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write the model in the folder ``source``, quantized, into the new folder ``target``; return its weights' bytes.

    Args:
        source: a checkpoint in either format.
        target: a folder that is not there or empty.
        scheme: one of ``SCHEMES``.
        force: replace ``target`` where it holds a model.
        beside: files that are not in ``source`` and go with the model, by the names that they get.
        progress: called after each tensor with the bytes read and the bytes of all.

    Raises:
        UsageError: the scheme, the model or the folder is none for this.
        CheckpointError: anything about the files of ``source``.
        MistralError: ``target`` cannot be written, or there is no room for it.
    """
    if scheme not in SCHEMES:
        reason = f"bitsandbytes has no format for {scheme}, so it cannot be written into a folder."
        raise UsageError(reason, f"Leave out -o to keep it in the cache, or take {' or '.join(SCHEMES)}.")
    check_target(source, target, force=force)
    plan = _Plan.of(source, scheme)
    free, needed = shutil.disk_usage(nearest_folder(target)).free, plan.nbytes
    if free < needed:
        raise MistralError(f"{needed:,} bytes are needed in {target}, but {free:,} are free.", "Free some space.")
    with written_beside(target) as temporary:
        shards = NewShards(folder=temporary, most=SHARD)
        for tensors in plan.tensors(progress):
            shards.add(tensors)
        shards.finish()
        _write_small_files(plan, temporary)
        for name, file in beside.items():
            copy(file, temporary / name)
    return shards.nbytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What becomes what."""

    files: CheckpointFiles
    args: ModelArgs
    scheme: str
    dtype: torch.dtype
    sources: dict[str, Source]
    quantized: dict[str, tuple[int, int]]

    @classmethod
    def of(cls, source: Path, scheme: str) -> _Plan:
        files = find_files(source)
        args = read_args(files.config)
        own = stated_scheme(files.config)
        if own:
            raise UsageError(f"The weights in {source} are quantized to {own} already.", "Take the model before that.")
        if args.moe:
            experts = "a layer's experts are one tensor there, which bitsandbytes does not quantize"
            reason = f"transformers has no quantized form of a mixture of experts: {experts}."
            raise UsageError(reason, "Leave out -o to keep it in the cache.")
        sources = match_tensors(read_tensors(files), args, source)
        if args.tie_word_embeddings and LM_HEAD in sources:
            check_tied(sources[EMBEDDING], sources.pop(LM_HEAD))
        dtype = STORED[main_dtype(found.tensor for found in sources.values())]
        layers = quantizable(args, _row(scheme))
        return cls(files=files, args=args, scheme=scheme, dtype=dtype, sources=sources, quantized=layers)

    @property
    def nbytes(self) -> int:
        return quantized_bytes(self.args, self.dtype, _row(self.scheme))

    @property
    def kept(self) -> list[str]:
        """Return the linear layers that stay as they are, under transformers' names."""
        names = {name.removesuffix(".weight"): shape for name, shape in self.args.tensor_shapes().items()}
        kept = [name for name, shape in names.items() if len(shape) == 2 and name not in self.quantized]
        return [name for name in kept if "embed" not in name] + ["lm_head"] * self.args.tie_word_embeddings

    def tensors(self, progress: Callable[[int, int], None] | None) -> Iterator[dict[str, Tensor]]:
        """Yield what is written for each tensor of the model."""
        for name, source, content in stream(self.sources, progress):
            if name.removesuffix(".weight") in self.quantized:
                yield _TENSORS[self.scheme](name, readable(source, content, self.dtype))
            else:
                yield {name: filled(source, content, self.dtype, _CPU)}


def _row(scheme: str) -> Method:
    return next(row for row in METHODS if row.scheme == scheme and row.by == "bitsandbytes" and "cuda" in row.devices)


def _four_bits(name: str, weight: Tensor) -> dict[str, Tensor]:
    """Return what ``Linear4bit`` of bitsandbytes saves."""
    layer, functions = bitsandbytes_4bit.quantize(weight, _CPU, weight.dtype), bitsandbytes_library.functional()
    nested = functions.QuantState(
        absmax=layer.nested_absmax, blocksize=bitsandbytes_4bit.NESTED, code=layer.nested_map, dtype=torch.float32
    )
    state = functions.QuantState(
        absmax=layer.absmax,
        shape=weight.shape,
        code=functions.get_4bit_type(layer.kind, device="cpu"),
        blocksize=layer.block,
        quant_type=layer.kind,
        dtype=weight.dtype,
        offset=layer.nested_offset,
        state2=nested,
    )
    return {name: layer.codes} | {f"{name}.{key}": part for key, part in state.as_dict(packed=True).items()}


def _eight_bits(name: str, weight: Tensor) -> dict[str, Tensor]:
    """Return what ``Linear8bitLt`` of bitsandbytes saves; format 0 is the order of the rows."""
    layer = bitsandbytes_8bit.quantize(weight, _CPU, weight.dtype)
    stem = name.removesuffix("weight")
    return {
        name: layer.codes,
        f"{stem}SCB": layer.absmax,
        f"{stem}weight_format": torch.zeros((), dtype=torch.uint8),
    }


_TENSORS = {"nf4": _four_bits, "int8": _eight_bits}


def _write_small_files(plan: _Plan, folder: Path) -> None:
    """Write the config; copy the tokenizer and what a generation begins with."""
    write_json(folder / "config.json", exported_config(plan.files.config, plan.args, plan.scheme, plan.kept))
    for file in sorted(plan.files.config.parent.iterdir()):
        if file.is_file() and is_copied(file.name):
            copy(file, folder / file.name)
