"""How much memory a peer's training takes on the CPU: the growth of a process that does nothing else."""

import json
import re
import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from membrane.bench.peers import PEERS, Peer
from membrane.bench.workloads import Workload

STEPS = 3


def peak(workload: Workload, peer: Peer, precision: str, threads: int, environment: Mapping[str, str]) -> int | None:
    """Bytes by which a fresh process grows from after the imports to its peak; None where that process ended ill."""
    asked = {"workload": asdict(workload), "peer": peer.name, "precision": precision, "threads": threads}
    command = [sys.executable, "-m", "membrane.bench.memory", json.dumps(asked)]
    done = subprocess.run(command, env=dict(environment), capture_output=True, text=True, check=False)
    return int(done.stdout.split()[-1]) if done.returncode == 0 else None


def resident(field: str = "VmRSS") -> int:
    """Bytes that are resident now, or with ``VmHWM`` the most that ever were; that too where the system says no more.

    On Linux not by getrusage, which hands the parent's peak on to the child.
    """
    status = Path("/proc/self/status")
    if status.exists():
        found = re.search(rf"^{field}:\s*(\d+) kB", status.read_text(), re.MULTILINE)
        if found:
            return int(found[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main(arguments: Sequence[str] | None = None) -> int:
    """In the process that is measured: train a few steps and print the growth."""
    [text] = list(sys.argv[1:] if arguments is None else arguments)
    asked: dict[str, Any] = json.loads(text)
    import torch

    from membrane.bench.measure import initial, ready
    from membrane.bench.step import data

    torch.set_num_threads(asked["threads"])
    device, workload = torch.device("cpu"), Workload.read(asked["workload"])
    [peer] = [each for each in PEERS if each.name == asked["peer"]]
    source = initial(peer, workload, device)
    before = resident()
    step = ready(peer, asked["precision"], workload, source, data(workload, device))
    for _ in range(STEPS):
        step()
    print(max(0, resident("VmHWM") - before))
    return 0


if __name__ == "__main__":
    sys.exit(main())
