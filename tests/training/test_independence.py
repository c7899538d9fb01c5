"""Nothing is kept between runs: two different ones in one process are those of two fresh processes."""

import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from run_paths import only

FIRST = ("model=scnn", "model.filters=[4]", "model.dropouts=[0.2]", "neuron=plif", "augmentation=[shift,mixup]")
SECOND = ("framework=singlestep_tid", "model=smlp", "model.units=[8]", "surrogate=atan", "callbacks=[ema]", "seed=3")
FRESH = """
import json, os, sys
from membrane.training.imports import quick_imports
with quick_imports():  # once, as the program does: each run begins in a process that has done nothing else
    import membrane.training.run
from membrane.cli.main import main
for arguments in json.loads(sys.argv[1]):
    child = os.fork()
    if child == 0:
        os._exit(main(["train", *arguments]))
    assert os.waitpid(child, 0)[1] == 0
"""
LEAST = (
    "logger=csv",
    "epochs=1",
    "timesteps=2",
    "threads=1",
    "trainer.progress=false",
    "figures=false",
    "batch_size=256",
)


def drawn() -> tuple[float, float, float]:
    """The next draw of each global generator."""
    return torch.rand(1).item(), float(np.random.rand()), random.random()


def test_two_runs_in_one_process_equal_two_processes(
    membrane: Callable[..., int], remains: Callable[[Path], dict[str, Any]]
) -> None:
    both = {"first": FIRST, "second": SECOND}
    fresh = json.dumps([[*LEAST, *settings, f"name={name}-fresh"] for name, settings in both.items()])
    assert subprocess.run([sys.executable, "-c", FRESH, fresh], capture_output=True, check=False).returncode == 0
    for name, settings in both.items():
        assert membrane(*LEAST, *settings, f"name={name}-together") == 0
    assert membrane(*LEAST, *FIRST, "name=first-again") == 0
    first = remains(only("first-fresh/*/seed?"))
    assert remains(only("first-together/*/seed?")) == first
    assert remains(only("first-again/*/seed?")) == first
    assert remains(only("second-together/*/seed?")) == remains(only("second-fresh/*/seed?"))


def test_a_run_leaves_the_global_generators_as_they_were(membrane: Callable[..., int]) -> None:
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()
    undisturbed = drawn()
    torch.set_rng_state(states[0])
    np.random.set_state(states[1])
    random.setstate(states[2])
    assert membrane(*LEAST, *FIRST) == 0
    assert drawn() == undisturbed
