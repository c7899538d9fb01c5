"""Numbers of a recorded run beside those of another: which differ, to the last digit."""

import json
from pathlib import Path
from typing import Any

from membrane.papers.repetition import differing_numbers, numbers_in

RESULT: dict[str, Any] = {
    "seed": 0,
    "fit_seconds": 12.5,
    "metrics": {"test/acc": 0.1 + 0.2, "test/loss": float("nan")},
    "best": {"epoch": 1, "monitor": "val/acc"},
}
CURVES = "epoch,step,seconds,val/acc\n0,2,1.25,0.7\n1,4,2.5,0.8\n"


def written(folder: Path, result: dict[str, Any], **files: str) -> Path:
    folder.mkdir()
    (folder / "result.json").write_text(json.dumps(result))
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text)
    return folder


def test_times_are_no_numbers_that_come_back(tmp_path: Path) -> None:
    record = numbers_in(written(tmp_path / "record", RESULT, curves=CURVES))
    metrics = CURVES.replace("1.25", "9").replace("0,2", "0,1,0.5,\n0,2")  # with a row within an epoch
    run = numbers_in(written(tmp_path / "run", RESULT | {"fit_seconds": 1.0, "ties": "new"}, metrics=metrics))
    assert len(record) == 5 + 2 * 3
    assert differing_numbers(record, run) == []


def test_the_last_digit_counts_and_each_number_is_named(tmp_path: Path) -> None:
    record = numbers_in(written(tmp_path / "record", RESULT, curves=CURVES))
    other = RESULT | {"metrics": {"test/acc": 0.3}, "best": None}
    run = numbers_in(written(tmp_path / "run", other, metrics=CURVES.replace("1,4,2.5,0.8", "1,4,2.5,0.9")))
    assert differing_numbers(record, run) == [
        "result.json: metrics: test/acc: recorded 0.30000000000000004, now 0.3",
        "result.json: metrics: test/loss: recorded nan, now None",
        "result.json: best: epoch: recorded 1, now None",
        "result.json: best: monitor: recorded 'val/acc', now None",
        "curves.csv: epoch 1: val/acc: recorded '0.8', now '0.9'",
    ]


def test_an_older_record_without_curves_is_read(tmp_path: Path) -> None:
    assert len(numbers_in(written(tmp_path / "record", RESULT))) == 5
