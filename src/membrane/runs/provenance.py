"""Where a result comes from: code, versions, machine; in a sweep looked at once, when the code is what was imported."""

import hashlib
import platform
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from membrane.schema.secrets import masked_override

LIBRARIES = ("torch", "spikingjelly", "lightning", "torchmetrics", "numpy", "scikit-learn", "hydra-core", "omegaconf")


@cache
def code_digest() -> str:
    """SHA-256 over the names and contents of the package's sources."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(each for each in package.rglob("*.[cp]*") if each.suffix in (".py", ".c")):
        digest.update(f"{path.relative_to(package).as_posix()}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


@cache
def versions() -> dict[str, str]:
    """The versions that shape numbers, without importing the libraries."""
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in LIBRARIES}}


@cache
def git() -> dict[str, str | None]:
    """The commit of the repository that the package lies in and the SHA-256 of what differs from it, if any."""
    folder = Path(__file__).parent

    def ask(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10, check=True
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout

    commit, difference = ask("rev-parse", "HEAD"), ask("diff", "HEAD")
    return {
        "commit": commit.strip() if commit else None,
        "diff": hashlib.sha256(difference.encode()).hexdigest() if difference else None,
    }


def processor() -> str:
    """The processor's name as the system gives it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def kernels(device: Any, neuron: str, model: Any, precision: str) -> str:
    """What runs for the neurons: on the CPU how each of the model's does, on CUDA which of SpikingJelly's kernels."""
    from spikingjelly.activation_based import functional

    if device.type == "cpu":
        import torch

        from membrane.fast.fused import summary

        return summary(model, torch.bfloat16 if precision == "bf16-mixed" else torch.float32)

    try:
        found = functional.neuron_implementation(neuron, device)
    except (KeyError, ValueError, NotImplementedError) as error:
        return f"unknown ({type(error).__name__})"
    return str(found)


def differences(recorded: dict[str, Any]) -> list[str]:
    """In what a recorded run's code and versions differ from the present ones, each in a few words."""
    found = []
    if recorded.get("code_digest") != code_digest():
        found.append(f"code {str(recorded.get('code_digest'))[:12]} → {code_digest()[:12]}")
    past, present = recorded.get("versions", {}), versions()
    found += [f"{name} {past.get(name)} → {present[name]}" for name in present if past.get(name) != present[name]]
    return found


def program() -> list[str]:
    """How this program is called."""
    return ["python", sys.argv[0]] if Path(sys.argv[0]).name == "train.py" else ["membrane-train"]


def command() -> list[str]:
    """The command line, without the folder of the program and without secrets."""
    return [Path(sys.argv[0]).name, *map(masked_override, sys.argv[1:])]
