"""`precision=auto`: the fastest precision that is safe for a network on this machine."""

import re
from pathlib import Path

FLAGS = ("amx_bf16", "avx512_bf16")
"""What Linux calls instructions that multiply in bfloat16; without them bfloat16 is slower than float32."""
FLOAT32_INSIDE = ("if", "lif", "plif", "relu")
"""The neurons whose membrane stays float32 under autocast: those that run fused, and the one that has none."""
CPUINFO = Path("/proc/cpuinfo")
GPUS = (Path("/proc/driver/nvidia/version"), Path("/dev/kfd"), Path("/dev/dxg"))
"""What is there where `accelerator=auto` may take a GPU: NVIDIA's driver, AMD's, and that of Linux under Windows."""


def fastest(neuron: str, fused: bool, accelerator: str) -> str:
    """`bf16-mixed` where the device multiplies in bfloat16 and the neurons' state stays float32; else `32-true`.

    ``fused``: the neuron runs fused, with its surrogate, or on a GPU its own way on float32.
    """
    safe = neuron == "relu" or (neuron in FLOAT32_INSIDE and fused)
    on_gpu = accelerator == "gpu" or (accelerator == "auto" and any(gpu.exists() for gpu in GPUS))
    return "bf16-mixed" if safe and (gpu_multiplies() if on_gpu else processor_multiplies()) else "32-true"


def gpu_multiplies() -> bool:
    """Whether there is a GPU that multiplies in bfloat16."""
    import torch

    return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)


def processor_multiplies() -> bool:
    """Whether the processor multiplies in bfloat16; no, where it does not say so."""
    try:
        flags = re.search(r"^flags\s*:(.*)$", CPUINFO.read_text(), re.MULTILINE)
    except OSError:
        return False
    return flags is not None and any(flag in flags[1].split() for flag in FLAGS)
