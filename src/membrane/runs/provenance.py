"""Read where a result comes from: code, versions, command line. A process reads each once, at its first run."""

import hashlib
import os
import platform
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from membrane.schema.secrets import masked_override

LIBRARIES = ("torch", "spikingjelly", "lightning", "torchmetrics", "numpy", "scikit-learn", "hydra-core", "omegaconf")

GIT = ("git", "-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}")
GIT_ENVIRONMENT = {"GIT_OPTIONAL_LOCKS": "0", "GIT_ALLOW_PROTOCOL": "none", "NO_FILTER": ""}
"""git starts no program that the configuration of a repository names, writes nothing into it, and asks no server."""


@cache
def code_digest() -> str:
    """Return the SHA-256 over the names and contents of the package's sources."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(each for each in package.rglob("*.[cp]*") if each.suffix in (".py", ".c")):
        digest.update(f"{path.relative_to(package).as_posix()}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


@cache
def library_versions() -> dict[str, str]:
    """Return the versions that shape numbers, Python's too, without importing the libraries."""
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in LIBRARIES}}


@cache
def git_state() -> dict[str, str | None]:
    """Return the commit that the package lies in and the SHA-256 of what differs from it; None where there is none."""
    package = Path(__file__).parent
    commit, difference = git_output(package, "rev-parse", "HEAD"), git_difference(package)
    return {
        "commit": commit.strip() if commit else None,
        "diff": hashlib.sha256(difference.encode()).hexdigest() if difference else None,
    }


def git_difference(folder: Path) -> str | None:
    """Return how a repository's files differ from its commit, without filters, or None if git fails."""
    filters = git_output(folder, "config", "--null", "--name-only", "--get-regexp", r"^filter\.") or ""
    unfiltered = [f"--config-env={key}=NO_FILTER" for key in filters.split("\0") if key]
    options = ("--no-ext-diff", "--no-textconv", "--ignore-submodules=dirty")
    return git_output(folder, *unfiltered, "diff", *options, "HEAD")


def git_output(folder: Path, *arguments: str) -> str | None:
    """Return what git prints in a folder, or None if it fails."""
    try:
        done = subprocess.run(
            [*GIT, *arguments],
            cwd=folder,
            env={**os.environ, **GIT_ENVIRONMENT},
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def neuron_kernels(device: Any, neuron: str, model: Any, precision: str) -> str:
    """Return what computes the neurons: each one's fast path on the CPU, SpikingJelly's kernel on CUDA."""
    from spikingjelly.activation_based import functional

    if device.type == "cpu":
        import torch

        from membrane.fast.fused import describe_neurons

        return describe_neurons(model, torch.bfloat16 if precision == "bf16-mixed" else torch.float32)

    try:
        kernel = functional.neuron_implementation(neuron, device)
    except (KeyError, ValueError, NotImplementedError) as error:
        return f"unknown ({type(error).__name__})"
    return str(kernel)


def changes_since(recorded: dict[str, Any]) -> list[str]:
    """Return in what the present code and versions differ from a recorded run's, each in a few words."""
    changes = []
    if recorded.get("code_digest") != code_digest():
        changes.append(f"code {str(recorded.get('code_digest'))[:12]} → {code_digest()[:12]}")
    past, present = recorded.get("versions", {}), library_versions()
    changes += [f"{name} {past.get(name)} → {present[name]}" for name in present if past.get(name) != present[name]]
    return changes


def program_command() -> list[str]:
    """Return the words that call this program: `python train.py` in a bare clone, else `membrane train`."""
    return ["python", sys.argv[0]] if Path(sys.argv[0]).name == "train.py" else ["membrane", "train"]


def evaluation_command() -> list[str]:
    """Return the words that evaluate a run, for the program that trained it."""
    return other_command("evaluate")


def other_command(name: str) -> list[str]:
    """Return the words that call another command, beside the program that was called."""
    program = program_command()
    if program[0] == "membrane":
        return ["membrane", name]
    return ["python", str(Path(program[1]).with_name("scripts") / f"{name}.py")]


def typed_arguments() -> list[str]:
    """Return what was typed behind those words, without secrets."""
    return list(map(masked_override, sys.argv[1:]))


def command_line() -> list[str]:
    """Return the command line, without the folder that the program lies in and without secrets."""
    return [*recorded_program(), *typed_arguments()]


def recorded_program() -> list[str]:
    """Return the words that call this program as files record them, without its folder."""
    program = program_command()
    return ["train.py"] if program[0] == "python" else program
