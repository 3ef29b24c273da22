"""The weights of a new checkpoint, written file by file as they are made. Knows no model."""

from __future__ import annotations

import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from safetensors.torch import save_file

from mistral_cli.weights.new_folder import sync, write_json

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

SHARD = 10**9
"""Bytes of a file; so much is held in memory until it is written."""


@dataclass(slots=True, kw_only=True)
class NewShards:
    """Tensors on their way into the files of a new checkpoint, in Hugging Face's format."""

    folder: Path
    most: int = SHARD
    """Bytes of a file."""
    waiting: dict[str, Tensor] = field(default_factory=dict)
    index: dict[str, int] = field(default_factory=dict)
    """Tensor -> number of its file."""
    files: list[Path] = field(default_factory=list)
    nbytes: int = 0

    def add(self, tensors: dict[str, Tensor]) -> None:
        """Take the tensors of one layer, which stay together."""
        if self.waiting and sum(tensor.nbytes for tensor in (*self.waiting.values(), *tensors.values())) > self.most:
            self._write()
        self.waiting |= {key: tensor.contiguous() for key, tensor in tensors.items()}

    def finish(self) -> None:
        """Write what is left, and give the files their names."""
        self._write()
        count = len(self.files)
        names = [f"model-{number:05}-of-{count:05}.safetensors" for number in range(1, count + 1)]
        if count == 1:
            names = ["model.safetensors"]
        for file, final in zip(self.files, names, strict=True):
            file.rename(self.folder / final)
        if count > 1:
            weight_map = {name: names[number] for name, number in self.index.items()}
            index = {"metadata": {"total_size": self.nbytes}, "weight_map": weight_map}
            write_json(self.folder / "model.safetensors.index.json", index)

    def _write(self) -> None:
        file = self.folder / f"{len(self.files)}.partial"
        file.touch()  # as the user's umask has it; what safetensors makes is for this user alone
        mode = stat.S_IMODE(file.stat().st_mode)
        save_file(self.waiting, file, metadata={"format": "pt"})
        file.chmod(mode)
        sync(file)
        self.index |= dict.fromkeys(self.waiting, len(self.files))
        self.nbytes += sum(tensor.nbytes for tensor in self.waiting.values())
        self.files.append(file)
        self.waiting = {}
