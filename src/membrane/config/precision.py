"""`precision=auto`: the fastest precision that is safe for a network on this machine. Without torch."""

import subprocess
from pathlib import Path

from membrane.runs.processor import cpuinfo_field

BF16 = ("amx_bf16", "avx512_bf16", "bf16")
"""Names of the processors' instructions that multiply in bfloat16, the fastest first; the last is ARM's."""
FLOAT32_INSIDE = ("if", "lif", "plif", "relu")
"""The neurons whose membrane stays float32 under autocast: those that can run fused, and the one that has none."""
GPUS = (Path("/proc/driver/nvidia/version"), Path("/dev/kfd"), Path("/dev/dxg"))
"""Files that exist where `accelerator=auto` may take a GPU: NVIDIA's driver, AMD's, that of Linux under Windows."""
CAPABILITIES = ("nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader")
AMPERE = 8.0
"""The compute capability from which on NVIDIA's GPUs multiply in bfloat16."""


def fastest_precision(neuron: str, fused: bool, accelerator: str) -> str:
    """Return `bf16-mixed` if the device multiplies in bfloat16 and the neurons' state stays float32, else `32-true`.

    ``fused``: the neuron is one that `membrane.fast.fused` looks after, with its surrogate.
    """
    safe = neuron == "relu" or (neuron in FLOAT32_INSIDE and fused)
    on_gpu = accelerator == "gpu" or (accelerator == "auto" and any(gpu.exists() for gpu in GPUS))
    return "bf16-mixed" if safe and (gpu_has_bf16() if on_gpu else bf16_instructions() != "no") else "32-true"


def gpu_has_bf16() -> bool:
    """Return whether NVIDIA's driver says that every GPU here multiplies in bfloat16."""
    try:
        reported = subprocess.run(
            CAPABILITIES, capture_output=True, encoding="utf-8", errors="replace", timeout=10, check=True
        ).stdout.split()
        return bool(reported) and min(map(float, reported)) >= AMPERE
    except (OSError, subprocess.SubprocessError, ValueError):
        return False


def bf16_instructions() -> str:
    """Return the processor's fastest instructions for bfloat16, ``no`` if it does not say that it has any."""
    flags = (cpuinfo_field("flags", "Features") or "").split()
    return next((each for each in BF16 if each in flags), "no")
