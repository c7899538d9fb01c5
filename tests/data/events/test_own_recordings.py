"""docs/events.md: its data set of one's own recordings trains as it stands."""

import importlib
import json
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from event_files import aedat2_bytes, recording

from membrane.cli.main import main
from membrane.data.events.event_set import foreign_code
from membrane.data.nmnist import NMNIST

PAGE = (Path(__file__).parents[3] / "docs" / "events.md").read_text()
FILES: dict[str, str] = dict(re.findall(r"`([\w/]+\.(?:py|yaml))`:\n\n```\w+\n(.*?)```", PAGE, re.DOTALL))
[COMMAND] = [line for line in PAGE.splitlines() if "--config-dir" in line]
RECORDINGS = {"train/wave": 6, "train/fist": 6, "test/fist": 3, "test/wave": 2}
SMALL = ("model=smlp", "model.units=[4]", "timesteps=2", "epochs=1", "logger=csv", "figures=false", "threads=1")


@pytest.fixture
def page(tmp_path: Path, monkeypatch) -> Path:
    """Return a folder to be in, with the page's files and recordings."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    for folder, count in RECORDINGS.items():
        (tmp_path / "data/hands" / folder).mkdir(parents=True)
        for number in range(count):
            path = tmp_path / "data/hands" / folder / f"{number}.aedat"
            path.write_bytes(aedat2_bytes(recording(100 + number, 128, 128, number)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_the_data_set_of_the_page_reads_recordings_and_trains(page) -> None:
    try:
        assert main(["train", *shlex.split(COMMAND)[2:], "paths.data=data", *SMALL]) == 0
        hands = sys.modules["my_events"].Hands
        train, test = hands(downsample=2, split="number").load(page / "data", 3)
    finally:
        sys.modules.pop("my_events", None)
    [result] = Path("runs").glob("hands/*/seed0/result.json")
    assert json.loads(result.read_text())["dataset"] == "hands"
    assert (tuple(train.x.shape), train.y.tolist()) == ((12, 3, 2, 64, 64), [0] * 6 + [1] * 6)
    np.testing.assert_array_equal(test.x.sum((1, 2, 3, 4)), [100, 101, 102, 100, 101])


def test_another_class_does_not_read_the_cache_of_the_one_before(page) -> None:
    """The order of its classes, which decides what labels mean, is no setting."""
    labels = []
    for classes in ('("fist", "wave")', '("wave", "fist")'):
        text = FILES["my_events.py"]
        (page / "my_events.py").write_text(text.replace('("fist", "wave")', classes))
        importlib.invalidate_caches()
        try:
            train, _ = importlib.import_module("my_events").Hands().load(page / "data", 2)
        finally:
            sys.modules.pop("my_events", None)
        labels.append(train.y.tolist())
    assert labels == [[0] * 6 + [1] * 6, [1] * 6 + [0] * 6]


def test_what_comes_with_membrane_is_known_by_its_version() -> None:
    assert foreign_code(NMNIST) == {}
