"""Who computes with quantized weights on this machine, and what is kept of them, for ``mistral doctor``."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mistral_cli.commands.doctor_checks import Check
from mistral_cli.commands.sizes import size
from mistral_cli.settings.places import places

if TYPE_CHECKING:
    import torch


_NAMES = {"kernel": "our own kernel", "bitsandbytes": "bitsandbytes", "torch": "torch"}
"""Who computes, in the words of the table of methods -> in words for a person."""


def check_quantization() -> Iterator[Check]:
    """Say for each scheme what ``--quantize`` would use on the device that is taken unasked, and why not the rest."""
    if not _has_torch():
        return
    from mistral_cli.engine.device import choose_device
    from mistral_cli.weights.default_scheme import DEFAULT, SMALL
    from mistral_cli.weights.methods import NONE, QUANTIZATIONS

    device = choose_device()
    for scheme in QUANTIZATIONS:
        if scheme != NONE:
            yield Check(section="quantization", name=f"{scheme} on {device.type}", value=_who(scheme, device))
    value = f"{DEFAULT} for models of {SMALL / 1e9:.0f} billion parameters or more, else {NONE}"
    yield Check(section="quantization", name="unasked", value=value)


def check_copies() -> Iterator[Check]:
    """Count the quantized copies; one that is damaged or outdated is no fault, but takes room."""
    from mistral_cli.weights.quantized_cache import FOLDER, QuantizedCache

    entries = QuantizedCache(folder=places().cache / FOLDER).entries()
    useless = sum(bool(entry.problem) for entry in entries)
    value = f"{len(entries)}, {size(sum(entry.nbytes for entry in entries))}"
    if useless:
        value += f"; {useless} of no use any more: mistral cache list"
    yield Check(section="quantization", name="copies on disk", value=value)


def _has_torch() -> bool:
    """Tell whether torch can be imported; where it cannot, its own check says so."""
    if importlib.util.find_spec("torch") is None:
        return False
    try:
        import torch  # noqa: F401
    except (ImportError, OSError, AttributeError):
        return False
    return True


def _who(scheme: str, device: torch.device) -> str:
    """Name the first that can compute with this scheme, after the reasons against those that would be better."""
    from mistral_cli.weights.methods import method_reasons

    against: list[str] = []
    for method, reason in method_reasons(scheme, device):
        if reason is None:
            return "; ".join([f"computed by {_NAMES[method.by]}", *against])
        against.append(reason)
    return "; ".join(["not to be had", *against])
