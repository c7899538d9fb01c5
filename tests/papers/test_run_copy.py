"""Copies of runs: a report of them is that of the runs, and nothing in them tells of a folder of the machine."""

import json
from pathlib import Path

import numpy as np
import pytest
from reported_runs import CONFIG, METRICS, RELU, finished, right_answers

from membrane.cli.report import report_rows
from membrane.errors import ConfigError
from membrane.papers.run_copy import copy_runs
from membrane.report.formats import rows_as_markdown


def pair(runs: Path) -> None:
    """Write two seeds each of a network and its twin, whose outputs are potentials and whose folders have names."""
    for fingerprint, neuron, share in (("f0", {}, 0.6), ("f1", RELU, 0.9)):
        for seed in (0, 1):
            right = right_answers(share, seed)
            output = np.random.default_rng(seed).normal(0, 0.1, (len(right), 10)).astype(np.float32)
            labels = np.arange(len(right)) % 10
            output[np.arange(len(right)), np.where(right, labels, (labels + 1) % 10)] += 2
            paths = {"paths": {"data": "/private/data", "runs": "/private/runs", "run": None}}
            folder = finished(
                runs / fingerprint,
                fingerprint,
                seed,
                right,
                config={**CONFIG, **neuron, **paths, "seed": seed},
                provenance={"command": ["train.py", "paths.runs=/private/runs"], "rerun": False},
                arrays={"output": output},
            )
            (folder / "run.log").write_text("2026-01-01 00:00:00,000 INFO a: data in /private/data/digits\n")


def test_a_report_of_copies_is_that_of_the_runs(tmp_path: Path) -> None:
    pair(tmp_path / "runs")
    for fingerprint in ("f0", "f1"):
        copy_runs(tmp_path / "runs" / fingerprint, tmp_path / "copies" / fingerprint)
    reports = []
    for folder in (tmp_path / "runs", tmp_path / "copies"):
        rows, unread = report_rows([folder], {"neuron": "relu"}, evaluations=False)
        assert unread == []
        assert [row.difference is None for row in rows] == [False, True]
        reports.append(rows_as_markdown(rows))
    assert reports[0] == reports[1]
    assert "worse" in reports[0]


def test_a_copy_holds_no_folder_of_the_machine_and_the_predicted_classes_alone(tmp_path: Path) -> None:
    pair(tmp_path / "runs")
    copy_runs(tmp_path / "runs" / "f0", tmp_path / "copy")
    folder = tmp_path / "copy" / "seed1"
    texts = {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}
    assert set(texts) == {"config.yaml", "metrics.csv", "provenance.json", "result.json", "run.log"}
    assert not [name for name, text in texts.items() if "/private" in text]
    assert not {"command", "rerun"} & set(json.loads(texts["provenance.json"]))
    assert texts["metrics.csv"].splitlines() == METRICS.splitlines()[::2]
    with np.load(folder / "outputs" / "test.npz") as arrays:
        assert set(np.unique(arrays["output"])) == {0, 1}
        assert (arrays["output"].sum(1) == 1).all()


def test_only_finished_runs_of_one_configuration_are_copied(tmp_path: Path) -> None:
    pair(tmp_path / "runs")
    (tmp_path / "empty").mkdir()
    for folder in ("runs", "empty"):
        with pytest.raises(ConfigError, match=f"{folder}: expected finished runs of one configuration"):
            copy_runs(tmp_path / folder, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
