"""What torch can do on this machine, for ``mistral doctor``: it may be missing or broken, and that is an answer too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mistral_cli.commands.doctor_checks import Check

NVIDIA_DRIVER = Path("/dev/nvidiactl")


def check_torch() -> Iterator[Check]:
    """Import torch and look at its devices and kernels."""
    try:
        import torch
    except (ImportError, OSError, AttributeError) as error:  # a half-installed one raises any of these
        problem = f"torch cannot be imported: {' '.join(str(error).split())}."
        remedy = "pip install --force-reinstall torch"
        yield Check(section="compute", name="torch", value="broken", problem=problem, remedy=remedy)
        return
    yield Check(section="compute", name="torch", value=f"{torch.__version__}, {torch.get_num_threads()} threads")
    yield Check(section="compute", name="cpu", value=_cpu_kernels(torch))
    yield check_cuda(torch)
    has_mps = torch.backends.mps.is_available()
    yield Check(section="compute", name="mps", value="usable (--device mps)" if has_mps else "none: not Apple silicon")


def check_kernels() -> Iterator[Check]:
    """Say which instructions our own kernels would use; without them bitsandbytes and torch compute."""
    from mistral_cli.kernels import library

    why = library.reason_against()
    if library.unavailable():
        value = f"none: {why}; faster with it: install again where there is a C++ compiler"
    else:
        value = f"{library.isa()} (--quantize nf4 or int4)" + (f"; not used: {why}" if why else "")
    yield Check(section="compute", name="4-bit products", value=value)


def _cpu_kernels(torch: Any) -> str:
    """Say which kernels compute on the CPU."""
    capability = torch.backends.cpu.get_cpu_capability()
    has_onednn = torch.backends.mkldnn.is_available()
    has_bf16 = has_onednn and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    speed = "bfloat16 by oneDNN" if has_bf16 else "bfloat16 emulated, so --dtype float32 may be faster"
    return f"torch's own kernels for {capability}; {speed}"


def check_cuda(torch: Any, driver: Path = NVIDIA_DRIVER) -> Check:
    """Say which GPUs can be used, or why none can."""
    if torch.cuda.is_available():
        names = (torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count()))
        value = ", ".join(f"cuda:{n} {gpu.name} ({gpu.total_memory / 1e9:.0f} GB)" for n, gpu in enumerate(names))
        return Check(section="compute", name="cuda", value=f"{value}; bfloat16 products by cuBLAS")
    if torch.version.cuda is None and torch.version.hip is None:
        problem = "There is an NVIDIA GPU, but this torch is built for the CPU alone." if driver.exists() else ""
        remedy = "Install a CUDA build of torch: see https://pytorch.org/get-started/locally/"
        value = "none: this torch is built for the CPU alone"
        return Check(section="compute", name="cuda", value=value, problem=problem, remedy=remedy)
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    why = f"CUDA_VISIBLE_DEVICES is {hidden!r}" if hidden is not None else "no driver, or no device to be seen"
    return Check(section="compute", name="cuda", value=f"none: {why}")
