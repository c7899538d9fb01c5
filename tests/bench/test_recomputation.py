"""The comparison of steps with and without recomputation: its pairs and its tables."""

from dataclasses import replace

import pytest
import torch

from membrane.bench.peers import PEERS, RECOMPUTED
from membrane.bench.recomputation import compared, section
from membrane.bench.record import Case, Timing
from membrane.bench.workloads import CHUNK, WORKLOADS


def test_multi_step_batch_norm_is_left_out() -> None:
    names = {each.name: [again.name for _, again in compared(each)] for each in WORKLOADS if each.classes}
    single, multi = (each.name for each in RECOMPUTED)
    assert names == {"W1": [single], "W2": [single], "W3": [single], "W4": [single, multi]}


@pytest.mark.parametrize("name", ["W3", "W4"])
def test_pairs_compute_the_same(name: str) -> None:
    [workload] = [replace(each.scaled(0.1), timesteps=CHUNK + 2) for each in WORKLOADS if each.name == name]
    x = torch.randn(workload.input_shape)
    for pair in compared(workload):
        outputs = []
        for peer in pair:
            torch.manual_seed(0)
            outputs.append(peer.build(workload, x.device).forward(x))
        assert torch.equal(*outputs)


def test_the_table_of_a_pair() -> None:
    workload = replace(WORKLOADS[0], timesteps=64, batch=2)
    pair = [
        ("membrane singlestep", [0.2, 0.1, 0.3], 500_000_000),
        (RECOMPUTED[0].name, [0.26, 0.13, 0.42], 100_000_000),
    ]
    timings = [Timing(name, "ours", "fp32", seconds, memory) for name, seconds, memory in pair]
    assert any(peer.name == pair[0][0] for peer in PEERS)
    text = section([Case(workload, timings, {})])
    assert text.startswith("## W1, membrane singlestep, batch 2\n")
    assert text.endswith("| 64 | 200 | 260 | 1.30 (1.30–1.35) | 500 | 100 | 0.20 |")
