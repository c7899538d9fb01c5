"""Records of a row: what is copied into them, and read from them."""

import json
from pathlib import Path

import pytest
from paper_rows import result, row
from yaml import safe_load

from membrane.papers.record import epoch_rows, read_record, write_record

PROCESS = {"versions": {"torch": "2"}, "command": ["paths.runs=x"], "rerun": False}
LOG = """2026-11-29 00:48:15,816 INFO membrane.training.announcement: data: digits (1221 train)
2026-11-29 00:48:15,888 INFO membrane.training.announcement: folder: /srv/person/runs/digits/97cdb644898f/seed0
2026-11-29 00:48:18,089 INFO epochs: epoch 0/1  train loss 0.0797 acc 39.4%  33,572 samples/s  2:07 left
2026-11-29 00:48:19,000 WARNING py.warnings: /srv/person/.venv/lib/x.py:3: UserWarning: read https://example.org/a/b
  see ~/notes/here.txt, runs/digits and "/opt/a/b", on host-7
2026-11-29 00:50:36,563 INFO membrane.training.results: next:   membrane evaluate runs/digits/97cdb644898f/seed0
2026-11-29 00:50:36,564 INFO membrane.training.results:         membrane train sweep=seeds   for the spread
"""
SHARED_LOG = """2026-11-29 00:48:15,816 INFO membrane.training.announcement: data: digits (1221 train)
2026-11-29 00:48:18,089 INFO epochs: epoch 0/1  train loss 0.0797 acc 39.4%  33,572 samples/s  2:07 left
2026-11-29 00:48:19,000 WARNING py.warnings: …/x.py:3: UserWarning: read https://example.org/a/b
  see …/here.txt, runs/digits and "…/b", on …
"""


def test_a_record_holds_what_repeats_a_run_and_nothing_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "host-7")
    run = tmp_path / "run"
    run.mkdir()
    content = result(test__acc=0.75)
    (run / "result.json").write_text(json.dumps(content))
    (run / "provenance.json").write_text(
        json.dumps({**PROCESS, "earlier": [PROCESS]})  # a resumed run notes each of its processes
    )
    (run / "metrics.csv").write_text("epoch,step,train/loss,val/acc\n0,1,0.5,\n0,2,0.4,\n0,2,,0.7\n1,4,,0.8\n")
    (run / "run.log").write_text(LOG)
    (run / "config.yaml").write_text("seed: 3\npaths:\n  data: /srv/person/data\nmodel:\n  units: [32]\n")
    write_record(tmp_path / "records", row(), "val_best", 3, run)
    folder = tmp_path / "records" / "paper" / "row" / "val_best" / "seed3"
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.yaml",
        "curves.csv",
        "provenance.json",
        "result.json",
        "run.log",
    ]
    assert (folder / "run.log").read_text() == SHARED_LOG
    assert safe_load((folder / "config.yaml").read_text()) == {"seed": 3, "model": {"units": [32]}}
    assert json.loads((folder / "provenance.json").read_text()) == {
        "versions": {"torch": "2"},
        "earlier": [{"versions": {"torch": "2"}}],
    }
    assert (folder / "curves.csv").read_text() == "epoch,step,train/loss,val/acc\n0,2,,0.7\n1,4,,0.8\n"
    assert read_record(tmp_path / "records", row(), []) == {"val_best": {3: content}}
    (folder.parent / "seed3.1").mkdir()  # a run that was moved aside
    (folder.parent / "seed3.1" / "result.json").write_text("{}")
    assert read_record(tmp_path / "records", row(), []) == {"val_best": {3: content}}


def test_all_rows_stay_where_no_epoch_was_measured() -> None:
    assert epoch_rows("epoch,train/loss\n0,1\n1,2\n") == "epoch,train/loss\n0,1\n1,2\n"
