"""The memory that a peer's training takes on the CPU: the growth of a process that does nothing else."""

import json
import re
import resource
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from membrane.bench.peers import PEERS, RECOMPUTED, Peer
from membrane.bench.workloads import Workload

MEASURED_STEPS = 3


def peak_memory(
    workload: Workload, peer: Peer, precision: str, threads: int, environment: Mapping[str, str]
) -> int | None:
    """Return the bytes by which a fresh process grows after its imports, at the peak; None if that process failed."""
    task = {"workload": asdict(workload), "peer": peer.name, "precision": precision, "threads": threads}
    command = [sys.executable, "-m", "membrane.bench.memory", json.dumps(task)]
    process = subprocess.run(
        command, env=dict(environment), capture_output=True, encoding="utf-8", errors="replace", check=False
    )
    return int(process.stdout.split()[-1]) if process.returncode == 0 else None


def resident_bytes(field: str = "VmRSS") -> int:
    """Return the resident bytes of this process now, or with ``VmHWM`` at their peak, which it always is elsewhere.

    Linux's getrusage would not do: a child inherits its parent's peak.
    """
    status = Path("/proc/self/status")
    if status.exists():
        match = re.search(rf"^{field}:\s*(\d+) kB", status.read_text(encoding="utf-8"), re.MULTILINE)
        if match:
            return int(match[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def print_growth(task: dict[str, Any]) -> None:
    """Train a few steps in this process, which is the measured one, and print by how many bytes it grew."""
    import torch

    from membrane.bench.measure import peer_step, source_net
    from membrane.bench.step import random_samples
    from membrane.training.memory import reuse_large_memory

    torch.set_num_threads(task["threads"])
    reuse_large_memory()
    device, workload = torch.device("cpu"), Workload.from_json(task["workload"])
    [peer] = [each for each in (*PEERS, *RECOMPUTED) if each.name == task["peer"]]
    source = source_net(peer, workload, device)
    torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))])  # with the first optimiser torch imports its compiler
    before = resident_bytes()
    step = peer_step(peer, task["precision"], workload, source, random_samples(workload, device))
    for _ in range(MEASURED_STEPS):
        step()
    print(max(0, resident_bytes("VmHWM") - before))


if __name__ == "__main__":
    print_growth(json.loads(sys.argv[1]))
