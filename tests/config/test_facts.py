"""What the files of ``dataset=arrays`` say is in the configuration, and nothing else need be said."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf

from membrane.config.check import check, resolved
from membrane.config.composer import Composer
from membrane.errors import ConfigError
from membrane.runs.fingerprint import fingerprint


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "my.npz")


def write(path: Path, **changes: Any) -> Path:
    """Write arrays with and without time: x [4,6,5,2], of which the plain view is 6×5 pixels and two channels."""
    x = np.random.default_rng(0).random((4, 6, 5, 2), dtype=np.float32)
    np.savez(path, **{"x_train": x, "y_train": np.arange(4) % 3, **changes})
    return path


def checked(file: Path, *overrides: str) -> Any:
    return composed("dataset=arrays", f"dataset.path={file}", f"paths.data={file.parent}", *overrides)


def composed(*overrides: str) -> Any:
    composer = Composer()
    return check(resolved(composer.compose(composer.add_or_override(overrides))))


def test_facts_are_filled_in(file) -> None:
    config = checked(file)
    assert (config.dataset.shape, config.dataset.classes, config.dataset.scale) == ([2, 6, 5], 3, 1.0)
    assert len(config.dataset.sha256) == 64
    assert config.timesteps == 4
    timed = checked(file, "framework=multistep_tid", "dataset.timesteps_in_data=true")
    assert (timed.dataset.shape, timed.timesteps) == ([2, 5], 6)


def test_what_is_stated_stays(file) -> None:
    config = checked(file, "dataset.classes=9", "dataset.scale=0.5")
    assert (config.dataset.classes, config.dataset.scale) == (9, 0.5)


def test_other_timesteps_than_the_files_are_refused(file) -> None:
    lines = ["framework=multistep_tid", "dataset.timesteps_in_data=true"]
    assert checked(file, *lines, "timesteps=6").timesteps == 6
    with pytest.raises(ConfigError, match=r"timesteps=3, but .* has 6, which are not re-binned: leave timesteps out"):
        checked(file, *lines, "timesteps=3")


def test_arrays_without_timesteps_are_told_what_gives_them(file) -> None:
    with pytest.raises(ConfigError, match=r"use framework=multistep or dataset\.timesteps_in_data=true, or encoder="):
        checked(file, "framework=multistep_tid")


def test_a_run_is_known_by_the_content_and_not_by_the_place(file, tmp_path) -> None:
    (tmp_path / "elsewhere").mkdir()
    copy = write(tmp_path / "elsewhere" / "my.npz")
    other = write(tmp_path / "elsewhere" / "other.npz", y_train=np.array([0, 2, 1, 0]))
    prints = [fingerprint(checked(path)) for path in (file, copy, other)]
    assert prints[0] == prints[1] != prints[2]


def test_a_saved_configuration_needs_no_file(file) -> None:
    saved = checked(file).model_dump(by_alias=True)
    file.unlink()
    assert check(resolved(OmegaConf.create(saved))).dataset.shape == [2, 6, 5]


@pytest.mark.parametrize(
    ("lines", "line"),
    [
        ([], "dataset=arrays needs dataset.path=FILE"),
        (["dataset.path=nowhere.npz"], "there is no such file or folder"),
        (["dataset.path=3"], "dataset=arrays needs dataset.path=FILE"),
    ],
)
def test_what_cannot_be_read_is_refused(lines: list[str], line: str) -> None:
    with pytest.raises(ConfigError, match=line):
        composed("dataset=arrays", *lines)
