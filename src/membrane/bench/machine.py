"""The machine and the versions that were measured on, as text."""

import os
from datetime import UTC, datetime
from importlib import metadata

import torch

from membrane.config.precision import bf16_instructions
from membrane.runs import provenance
from membrane.runs.processor import processor_name

COMPARED_LIBRARIES = ("torch", "spikingjelly", "snntorch", "norse", "lightning", "numpy")


def describe_machine(device: torch.device, threads: int) -> dict[str, str]:
    """Return name → text of the date, commit, processor, device and versions, in the order of printing."""
    about = {"date": datetime.now(UTC).strftime("%Y-%m-%d"), "commit": commit_text()}
    about |= {"processor": f"{processor_name()}, {os.cpu_count()} cores", "threads": str(threads)}
    if device.type == "cuda":
        gpu = torch.cuda.get_device_properties(device)
        about["device"] = f"{gpu.name}, {gpu.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}"
    else:
        about["bf16 in hardware"] = bf16_instructions()
    about["python"] = provenance.library_versions()["python"]
    return about | {name: version for name in COMPARED_LIBRARIES if (version := library_version(name))}


def commit_text() -> str:
    """Return the commit's first digits, with a plus if the tree differs from it."""
    state = provenance.git_state()
    return "unknown" if state["commit"] is None else state["commit"][:12] + ("+" if state["diff"] else "")


def library_version(name: str) -> str | None:
    """Return a library's version; None if it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
