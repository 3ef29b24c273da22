"""Headers of weight files: what they say is read without the weights, and nothing damaged is believed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import save_file

from mistral_cli.errors import CheckpointError
from mistral_cli.weights.safetensors_header import read_header

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, header: object, data: bytes = b"", length: int | None = None) -> Path:
    """Write a file with this header, whatever it says."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + data)
    return path


def entry(start: int, end: int, shape: object = None, dtype: object = "U8") -> dict[str, object]:
    """Return one tensor's description."""
    return {"dtype": dtype, "shape": [end - start] if shape is None else shape, "data_offsets": [start, end]}


def refusal(file: Path) -> str:
    """Return the message with which ``file`` is refused; it names the file."""
    with pytest.raises(CheckpointError) as caught:
        read_header(file)
    assert str(file) in caught.value.message
    assert caught.value.hint
    return caught.value.message


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """Return a file that the safetensors library wrote."""
    file = tmp_path / "model.safetensors"
    tensors = {"b": torch.arange(6.0).view(2, 3), "a": torch.ones(4, dtype=torch.bfloat16), "empty": torch.empty(0, 3)}
    save_file(tensors, file, metadata={"format": "pt"})
    return file


def test_names_shapes_types_and_ranges_are_those_of_the_file(sound: Path) -> None:
    tensors = read_header(sound)
    assert {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()} == {
        "a": ((4,), "BF16"),
        "b": ((2, 3), "F32"),
        "empty": ((0, 3), "F32"),
    }
    b = tensors["b"]
    content = torch.frombuffer(bytearray(sound.read_bytes()[b.start : b.end]), dtype=torch.float32)
    assert content.tolist() == [0, 1, 2, 3, 4, 5]
    assert b.nbytes == 24


@pytest.mark.parametrize("kept", [0, 5, 8, 60, -1])
def test_a_truncated_file_is_refused_with_both_sizes(sound: Path, kept: int) -> None:
    whole = sound.read_bytes()
    sound.write_bytes(whole[:kept])
    message = refusal(sound)
    assert f"truncated: {len(whole[:kept])} bytes" in message
    assert "expected" in message


def test_the_size_that_a_truncated_file_should_have_is_exact(sound: Path) -> None:
    whole = sound.read_bytes()
    sound.write_bytes(whole[:-7])
    assert f"{len(whole) - 7} bytes, expected {len(whole)}" in refusal(sound)


def test_bytes_after_the_last_tensor_are_refused(sound: Path) -> None:
    sound.write_bytes(sound.read_bytes() + b"x")
    assert "damaged" in refusal(sound)


def test_a_git_lfs_pointer_is_called_that(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 4943162336\n")
    assert "is a git-lfs pointer" in refusal(file)


@pytest.mark.parametrize("page", ["<!DOCTYPE html>\n<html>", "\n <html lang='en'>", "<!doctype HTML><p>", "<HTML>"])
def test_an_html_page_is_called_that(tmp_path: Path, page: str) -> None:
    file = tmp_path / "model.safetensors"
    file.write_text(page + "not found" * 40)
    assert "is an HTML page" in refusal(file)


@pytest.mark.parametrize(
    "content", [b"PK\x03\x04" * 99, b"GGUF\x03\x00\x00\x00" * 9, b"\xff" * 64, b"text, long enough"]
)
def test_another_kind_of_file_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(content)
    assert "is no safetensors file" in refusal(file)


def test_a_header_too_large_for_any_model_is_refused_unread(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    with write(file, {}, length=10**12).open("r+b") as opened:
        opened.truncate(10**13)
    assert "is no safetensors file" in refusal(file)


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ({"a": entry(0, 4), "b": entry(2, 6)}, "overlaps"),
        ({"a": entry(0, 4), "b": entry(0, 4)}, "overlaps"),
        ({"a": entry(0, 2), "b": entry(4, 6)}, "gap"),
        ({"a": entry(2, 6)}, "gap"),
        ({"a": entry(0, 6, [2, 2])}, "does not fit its shape"),
        ({"a": entry(0, 6, [2**62, 4])}, "does not fit its shape"),
        ({"a": entry(4, 0, [])}, "does not fit its shape"),
        ({"a": entry(-6, 0)}, "list of whole numbers"),
        ({"a": entry(0, 6, [2.0, 3])}, "list of whole numbers"),
        ({"a": entry(0, 6, [True] * 6)}, "list of whole numbers"),
        ({"a": entry(0, 6, "six")}, "list of whole numbers"),
        ({"a": entry(0, 6, [1] * 100_000)}, "list of whole numbers"),
        ({"a": entry(0, 6, dtype="F128")}, "unknown"),
        ({"a": entry(0, 6, dtype=None)}, "unknown"),
        ({"a": {}}, "unknown"),
        ({"a": 7}, "no object"),
    ],
)
def test_a_damaged_header_is_refused_and_says_which_tensor(tmp_path: Path, header: object, why: str) -> None:
    message = refusal(write(tmp_path / "model.safetensors", header, b"123456"))
    assert why in message
    assert "'a'" in message or "'b'" in message


@pytest.mark.parametrize("header", [b'{"a": ', b"{\xff}", b'{"a": 1, "a": 2}', b'{"a":' * 50_000])
def test_a_header_that_is_no_json_is_refused(tmp_path: Path, header: bytes) -> None:
    assert "holds no JSON" in refusal(write(tmp_path / "model.safetensors", header))


def test_a_range_beyond_the_end_is_a_truncated_file(tmp_path: Path) -> None:
    header = {"a": entry(0, 2**40)}
    assert f"expected {2**40 + 8 + len(json.dumps(header)):,}" in refusal(write(tmp_path / "model.safetensors", header))


def test_a_dangling_link_names_both_ends(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.symlink_to("../blobs/gone")
    assert "is a link to ../blobs/gone, which is not there" in refusal(file)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "is missing" in refusal(tmp_path / "model.safetensors")


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.symlink_to("/proc/self/mem")  # reading its beginning is an error for everybody
    assert "cannot be read: Input/output error" in refusal(file)
