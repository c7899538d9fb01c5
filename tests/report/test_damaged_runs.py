"""A report of runs of which somebody changed a file: it is written all the same, and nothing of it is markup."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reported_runs import finished, outputs_of, right_answers, study

from membrane.cli.report import report_rows
from membrane.errors import ConfigError
from membrane.report.formats import FORMATS
from membrane.report.html import render_page
from membrane.report.page_data import page_content

JSON: list[tuple[str, Any]] = [
    ("result.json", {"metrics": {"test/acc": 10**60}, "fit_seconds": 1, "epochs": 2}),
    ("result.json", {"metrics": {}, "fit_seconds": 1, "epochs": 2, "parameters": [1], "best": {"epoch": {}}}),
    (
        "result.json",
        {"metrics": {"test/acc": 0.5}, "fit_seconds": 1, "epochs": 2, "seed": "0", "protocol": [], "is_snn": 3},
    ),
    ("provenance.json", {"git": 3, "versions": {"torch": []}, "split": {"test": 5}, "command": {}, "code_digest": [1]}),
    ("evaluations/a.json", {"metrics": {"test/acc": "x"}, "finished": True}),
    ("evaluations/a.json", {"metrics": {"test/acc": 0.5}, "finished": True, "overrides": 3}),
    ("evaluations/a.anytime.json", {"curve": {"timesteps": [1], "test/acc": [{}]}, "overrides": 3, "early_exit": 1}),
    (
        "config.yaml",
        {"neuron": {"_target_": 3}, "trainer": [], "augmentation": {"a": {"_target_": None}}, "x": 10**400},
    ),
    ("config.yaml", [1]),
    ("FAILED.json", {"error": 3, "traceback": {}}),
]
ARRAYS: list[tuple[str, np.ndarray]] = [
    ("index", np.array(3)),
    ("label", np.zeros((200, 1), int)),
    ("label", np.full(200, -1)),
    ("output", np.zeros((200, 0))),
    ("output", np.array(["a"] * 200)),
    ("recording", np.array(1)),
    ("group", np.array(["a"] * 200)),
    ("classes", np.array(5)),
]


@pytest.fixture
def report_of(tmp_path: Path) -> Callable[[Callable[[Path], None]], str]:
    """Return a function that damages a run of a study and returns the study's report in all formats."""

    def report(damage: Callable[[Path], None]) -> str:
        runs = study(tmp_path / "runs", 1)
        damage(finished(runs, "f9", 0, right_answers(0.5, 4), {"timesteps": 9}))
        rows, unread = report_rows([runs], {"neuron": "relu"}, evaluations=True)
        page = render_page(page_content(rows, (), unread, tmp_path))
        assert {"plif", "relu"} <= {row.shown.get("neuron") for row in rows}, "the others are there"
        return "".join([page, *(write(rows, ()) for write in FORMATS.values())])

    return report


@pytest.mark.parametrize(("name", "content"), JSON)
def test_json_of_other_types(report_of: Callable[[Callable[[Path], None]], str], name: str, content: Any) -> None:
    def damage(folder: Path) -> None:
        (folder / "evaluations").mkdir()
        (folder / name).write_text(json.dumps(content))

    assert report_of(damage)


@pytest.mark.parametrize(("name", "array"), ARRAYS)
def test_arrays_of_other_shapes(
    report_of: Callable[[Callable[[Path], None]], str], name: str, array: np.ndarray
) -> None:
    def damage(folder: Path) -> None:
        np.savez(folder / "outputs" / "test.npz", **(outputs_of(right_answers(0.5, 4)) | {name: array}))

    assert report_of(damage)


def test_a_broken_archive_and_a_broken_table(report_of: Callable[[Callable[[Path], None]], str]) -> None:
    def damage(folder: Path) -> None:
        archive = bytearray((folder / "outputs" / "test.npz").read_bytes())
        archive[60:400] = bytes(340)
        (folder / "outputs" / "test.npz").write_bytes(archive)
        (folder / "metrics.csv").write_text('epoch,rate/a\n"' + "x" * 200_000)

    assert "not compared: outputs/test.npz" in report_of(damage)


def test_a_baseline_among_damaged_runs_alone_is_refused(tmp_path: Path) -> None:
    (finished(tmp_path, "f0", 0, right_answers(0.5, 4)) / "result.json").write_text("[]")
    with pytest.raises(ConfigError, match="no finished run has it"):
        report_rows([tmp_path], {"neuron": "lif"}, evaluations=False)
