"""On what was measured: versions, processor, device, threads, date."""

import os
from datetime import UTC, datetime
from importlib import metadata

import torch

from membrane.config.precision import bf16_instructions
from membrane.runs import provenance
from membrane.runs.processor import processor_name

LIBRARIES = ("torch", "spikingjelly", "snntorch", "norse", "lightning", "numpy")


def describe(device: torch.device, threads: int) -> dict[str, str]:
    """Words for words, in the order in which they are printed."""
    found = {"date": datetime.now(UTC).strftime("%Y-%m-%d"), "commit": commit()}
    found |= {"processor": f"{processor_name()}, {os.cpu_count()} cores", "threads": str(threads)}
    if device.type == "cuda":
        about = torch.cuda.get_device_properties(device)
        found["device"] = f"{about.name}, {about.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}"
    else:
        found["bf16 in hardware"] = bf16_instructions()
    versions = {"python": provenance.library_versions()["python"], **{name: version(name) for name in LIBRARIES}}
    return found | {name: value for name, value in versions.items() if value}


def commit() -> str:
    """The commit's first digits, with a plus where the tree differs from it."""
    found = provenance.git_state()
    return "unknown" if found["commit"] is None else found["commit"][:12] + ("+" if found["diff"] else "")


def version(name: str) -> str | None:
    """A library's version; None where it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
