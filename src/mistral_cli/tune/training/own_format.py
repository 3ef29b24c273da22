"""A base whose files are in Mistral's own format: the tensors and the config that transformers takes them by.

Names and rotary order become those of Hugging Face: so the adapter is one for the model as everybody else loads it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mistral_cli.backends import hf_model
from mistral_cli.weights.checkpoint import check_tied
from mistral_cli.weights.config import read_args
from mistral_cli.weights.export_config import plain_config
from mistral_cli.weights.files import read_tensors
from mistral_cli.weights.formats import EMBEDDING, LM_HEAD, match_tensors
from mistral_cli.weights.mapped_tensors import readable, stream
from mistral_cli.weights.new_folder import write_json

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from mistral_cli.model.args import ModelArgs
    from mistral_cli.weights.files import CheckpointFiles
    from mistral_cli.weights.formats import Source


def read_sources(files: CheckpointFiles, args: ModelArgs) -> dict[str, Source]:
    """Return where each tensor of a model comes from, in Hugging Face's names; a head that is tied is left out.

    Raises:
        CheckpointError: tensors are missing, unexpected, or of another shape.
    """
    sources = match_tensors(read_tensors(files), args, files.config.parent)
    if args.tie_word_embeddings and LM_HEAD in sources:
        check_tied(sources[EMBEDDING], sources.pop(LM_HEAD))
    return sources


def plain_state(files: CheckpointFiles, dtype: torch.dtype) -> dict[str, Tensor]:
    """Return a model's tensors; those that are in ``dtype`` and in order already lie in their file.

    Raises:
        CheckpointError: anything about the files.
        OutOfMemoryError: no room for the others.
    """
    sources = read_sources(files, read_args(files.config))
    return {name: readable(source, content, dtype) for name, source, content in stream(sources, None)}


def transformers_config(files: CheckpointFiles) -> Any:
    """Return the config that transformers would have of the model.

    Raises:
        CheckpointError: a model that it does not know.
    """
    with tempfile.TemporaryDirectory() as place:
        write_json(Path(place) / "config.json", plain_config(files.config, read_args(files.config)))
        return hf_model.read_config(Path(place))
