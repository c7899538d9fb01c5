"""On what was measured: versions, processor, device, threads, date."""

import os
import re
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import torch

from membrane.tracking import provenance

LIBRARIES = ("torch", "spikingjelly", "snntorch", "norse", "lightning", "numpy")
BF16 = ("amx_bf16", "avx512_bf16", "bf16")
"""What processors call their instructions for bf16, the fastest first; the last is ARM's."""


def describe(device: torch.device, threads: int) -> dict[str, str]:
    """Words for words, in the order in which they are printed."""
    found = {"date": datetime.now(UTC).strftime("%Y-%m-%d"), "commit": commit()}
    found |= {"processor": f"{provenance.processor()}, {os.cpu_count()} cores", "threads": str(threads)}
    if device.type == "cuda":
        about = torch.cuda.get_device_properties(device)
        found["device"] = f"{about.name}, {about.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}"
    else:
        found["bf16 in hardware"] = bf16(flags())
    versions = {"python": provenance.versions()["python"], **{name: version(name) for name in LIBRARIES}}
    return found | {name: value for name, value in versions.items() if value}


def commit() -> str:
    """The commit's first digits, with a plus where the tree differs from it."""
    found = provenance.git()
    return "unknown" if found["commit"] is None else found["commit"][:12] + ("+" if found["diff"] else "")


def flags(info: Path = Path("/proc/cpuinfo")) -> list[str]:
    """What the processor can, in the system's words."""
    text = info.read_text() if info.exists() else ""
    line = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return line[1].split() if line else []


def bf16(flags: list[str]) -> str:
    """The processor's fastest instructions for bf16, or no."""
    return next((each for each in BF16 if each in flags), "no")


def version(name: str) -> str | None:
    """A library's version; None where it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
