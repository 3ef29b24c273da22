"""A checkpoint becomes a folder in bitsandbytes' own format, which this program and transformers read. No terminal.

It is written beside its place and renamed, so that a folder of that name is whole. The weights are those that
bitsandbytes makes, with double quantization, before any packing for a processor.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

import torch

from mistral_cli.errors import MistralError, UsageError
from mistral_cli.weights.bitsandbytes_form import QuantizedForm, check_form, check_scheme
from mistral_cli.weights.checkpoint import check_tied
from mistral_cli.weights.config import read_args
from mistral_cli.weights.export_config import is_copied
from mistral_cli.weights.files import find_files, read_tensors
from mistral_cli.weights.formats import EMBEDDING, LM_HEAD, main_dtype, match_tensors
from mistral_cli.weights.mapped_tensors import STORED, filled, readable, stream
from mistral_cli.weights.new_folder import check_target, copy, nearest_folder, write_json, written_beside
from mistral_cli.weights.new_shards import SHARD, NewShards
from mistral_cli.weights.prequantized import stated_scheme

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from torch import Tensor

    from mistral_cli.weights.files import CheckpointFiles
    from mistral_cli.weights.formats import Source

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
        scheme: one of ``bitsandbytes_form.SCHEMES``.
        force: replace ``target`` where it holds a model.
        beside: files that are not in ``source`` and go with the model, by the names that they get.
        progress: called after each tensor with the bytes read and the bytes of all.

    Raises:
        UsageError: the scheme, the model or the folder is none for this.
        CheckpointError: anything about the files of ``source``.
        MistralError: ``target`` cannot be written, or there is no room for it.
    """
    check_scheme(scheme)
    check_target(source, target, force=force)
    plan = _Plan.of(source, scheme)
    free, needed = shutil.disk_usage(nearest_folder(target)).free, plan.form.nbytes
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
    form: QuantizedForm
    sources: dict[str, Source]

    @classmethod
    def of(cls, source: Path, scheme: str) -> _Plan:
        files = find_files(source)
        args = read_args(files.config)
        own = stated_scheme(files.config)
        if own:
            raise UsageError(f"The weights in {source} are quantized to {own} already.", "Take the model before that.")
        check_form(args, scheme)
        sources = match_tensors(read_tensors(files), args, source)
        if args.tie_word_embeddings and LM_HEAD in sources:
            check_tied(sources[EMBEDDING], sources.pop(LM_HEAD))
        dtype = STORED[main_dtype(found.tensor for found in sources.values())]
        return cls(files=files, form=QuantizedForm(args=args, scheme=scheme, dtype=dtype), sources=sources)

    def tensors(self, progress: Callable[[int, int], None] | None) -> Iterator[dict[str, Tensor]]:
        """Yield what is written for each tensor of the model."""
        for name, source, content in stream(self.sources, progress):
            read = readable if self.form.packs(name) else partial(filled, device=_CPU)
            yield self.form.tensors(name, read(source, content, self.form.dtype))


def _write_small_files(plan: _Plan, folder: Path) -> None:
    """Write the config; copy the tokenizer and what a generation begins with."""
    write_json(folder / "config.json", plan.form.config(plan.files.config))
    for file in sorted(plan.files.config.parent.iterdir()):
        if file.is_file() and is_copied(file.name):
            copy(file, folder / file.name)
