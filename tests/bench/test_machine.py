"""What is said of the machine and the versions that were measured on."""

import os
import re
from datetime import UTC, datetime
from importlib import metadata
from types import SimpleNamespace

import pytest
import torch

from membrane.bench import machine
from membrane.bench.machine import COMPARED_LIBRARIES, commit_text, describe_machine, library_version


@pytest.fixture(autouse=True)
def pretended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "processor_name", lambda: "A Processor")
    monkeypatch.setattr(machine, "bf16_instructions", lambda: "amx_bf16")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    state = {"commit": "0123456789abcdef", "diff": None}
    monkeypatch.setattr(machine.provenance, "git_state", lambda: state)


def test_a_processor_is_described_with_versions() -> None:
    days = [datetime.now(UTC).date().isoformat()]
    about = describe_machine(torch.device("cpu"), 4)
    days.append(datetime.now(UTC).date().isoformat())  # midnight may have come
    versions = {name: metadata.version(name) for name in ("torch", "spikingjelly", "lightning", "numpy")}
    assert versions.items() <= about.items()
    assert list(about)[:6] == ["date", "commit", "processor", "threads", "bf16 in hardware", "python"]
    assert set(about) - set(list(about)[:6]) <= set(COMPARED_LIBRARIES)
    assert (about["processor"], about["threads"], about["bf16 in hardware"]) == (
        "A Processor, 6 cores",
        "4",
        "amx_bf16",
    )
    assert about["commit"] == "0123456789ab"
    assert re.fullmatch(r"3\.\d+\.\d+\S*", about["python"])
    assert about["date"] in days


def test_a_gpu_is_described_by_its_name_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = SimpleNamespace(name="A GPU", total_memory=12 * 2**30 + 2**20)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: gpu)
    monkeypatch.setattr(torch.version, "cuda", "13.1")
    about = describe_machine(torch.device("cuda"), 1)
    assert about["device"] == "A GPU, 12 GiB, CUDA 13.1"
    assert "bf16 in hardware" not in about


def test_a_tree_that_differs_from_its_commit_has_a_plus(monkeypatch: pytest.MonkeyPatch) -> None:
    for commit, diff, text in (("a" * 40, None, "a" * 12), ("a" * 40, "d", "a" * 12 + "+"), (None, None, "unknown")):
        state = {"commit": commit, "diff": diff}
        monkeypatch.setattr(machine.provenance, "git_state", lambda state=state: state)
        assert commit_text() == text


def test_a_library_that_is_not_installed_is_not_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == "norse":
            raise metadata.PackageNotFoundError(name)
        return f"{name}'s"

    monkeypatch.setattr(machine.metadata, "version", version)
    assert library_version("norse") is None
    about = describe_machine(torch.device("cpu"), 1)
    assert "norse" not in about
    assert about["snntorch"] == "snntorch's"
