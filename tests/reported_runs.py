"""Run folders with everything that a report reads, written by hand."""

import json
from pathlib import Path
from typing import Any

import numpy as np

CONFIG: dict[str, Any] = {
    "name": "study",
    "seed": 0,
    "timesteps": 4,
    "epochs": 2,
    "protocol": "val_best",
    "paths": {"data": "data", "runs": "runs", "run": None},
    "dataset": {"_target_": "membrane.data.digits.Digits", "name": "digits", "shape": [1, 8, 8], "split_seed": 0},
    "model": {"_target_": "membrane.models.smlp.SMLP", "sizes": [32]},
    "neuron": {"_target_": "spikingjelly.activation_based.neuron.LIFNode", "tau": 2.0},
    "surrogate": {"_target_": "spikingjelly.activation_based.surrogate.Sigmoid", "alpha": 4.0},
    "optimizer": {"_target_": "torch.optim.AdamW", "lr": 0.002},
    "framework": {"_target_": "membrane.framework.MultiStep"},
    "figures": True,
    "trainer": {"workers": 0, "accumulate": 1},
}
PLIF = {"neuron": {"_target_": "spikingjelly.activation_based.neuron.ParametricLIFNode", "init_tau": 2.0}}
RELU = {"neuron": {"_target_": "torch.nn.ReLU"}, "surrogate": None}
LABELS = np.arange(200) % 10
"""The labels of the test samples."""
METRICS = """epoch,step,seconds,lr,train/loss,train/acc,val/loss,val/acc,rate/neuron1,rate/neuron2
0,10,1.0,0.002,1.5,0.5,,,,
0,10,1.5,0.002,,,1.2,0.6,0.3,0.5
1,20,2.0,0.002,0.9,0.7,,,,
1,20,2.5,0.002,,,0.8,0.8,0.1,0.2
"""


def right_answers(share: float, seed: int, samples: int = len(LABELS)) -> np.ndarray:
    """Draw which samples are right [n]: samples are as easy for every seed, but for a few."""
    difficulty = np.random.default_rng(7).random(samples)
    return difficulty + np.random.default_rng(seed).normal(0, 0.05, samples) < share


def outputs_of(right: np.ndarray) -> dict[str, np.ndarray]:
    """Return the arrays of outputs/test.npz of a classifier that is right on some samples [n]."""
    labels = LABELS[: len(right)]
    output = np.zeros((len(right), 10), np.float32)
    output[np.arange(len(right)), np.where(right, labels, (labels + 1) % 10)] = 1
    index = np.arange(len(right))
    return {"index": index, "recording": index, "label": labels, "output": output}


def finished(
    runs: Path,
    fingerprint: str,
    seed: int,
    right: np.ndarray,
    config: dict[str, Any] | None = None,
    result: dict[str, Any] | None = None,
    provenance: dict[str, Any] | None = None,
    arrays: dict[str, np.ndarray] | None = None,
) -> Path:
    """Write a finished run of a classifier that is right on some test samples [n]. Return its folder."""
    folder = runs / "study" / fingerprint / f"seed{seed}"
    (folder / "outputs").mkdir(parents=True)
    settings = {**CONFIG, "seed": seed, **(config or {})}
    (folder / "config.yaml").write_text(json.dumps(settings))  # JSON is YAML
    metrics = {"val/acc": 0.5, "test/loss": 0.4, "test/acc": float(right.mean())}
    content = {
        "schema": 1,
        "status": "finished",
        "name": "study",
        "fingerprint": fingerprint,
        "seed": seed,
        "protocol": settings["protocol"],
        "is_snn": settings["surrogate"] is not None,
        "dataset": "digits",
        "split_hash": "s" * 64,
        "forward_passes_per_sample": 4 if settings["surrogate"] is not None else 1,
        "parameters": 1234,
        "epochs": 2,
        "fit_seconds": 60.0 + seed,
        "metrics": metrics,
    }
    (folder / "result.json").write_text(json.dumps(content | (result or {})))
    origin = {"fingerprint": fingerprint, "seed": seed, "code_digest": "c" * 64, "data_hash": "d" * 64}
    origin["versions"] = {"torch": "2.11.0"}
    (folder / "provenance.json").write_text(json.dumps(origin | (provenance or {})))
    (folder / "metrics.csv").write_text(METRICS)
    np.savez_compressed(folder / "outputs" / "test.npz", **(outputs_of(right) | (arrays or {})))
    return folder


def study(runs: Path, seeds: int = 3, samples: int = len(LABELS)) -> Path:
    """Write LIF, PLIF and the ANN twin, so many seeds each. Return the folder of runs."""
    kinds = (("f0", {}, 0.6, 0), ("f1", PLIF, 0.61, 10), ("f2", RELU, 0.9, 20))
    for fingerprint, config, share, draw in kinds:
        for seed in range(seeds):
            finished(runs, fingerprint, seed, right_answers(share, seed + draw, samples), config)
    return runs
