"""UCI-HAR: small files in the original format, and the original ones where they are."""

import hashlib
import io
import lzma
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mirrors import Mirrors, served
from tests.real_data import real_data

from membrane.data import uci_har
from membrane.data.origins import ORIGINS
from membrane.data.uci_har import SIGNALS, UCIHAR
from membrane.errors import DataError


def write_originals(root: Path, signals: np.ndarray, labels: list[int], subjects: list[int]) -> None:
    """Write both parts as the original files, with exponents of three digits."""
    for part in ("train", "test"):
        folder = root / "uci_har" / part / "Inertial Signals"
        folder.mkdir(parents=True)
        for name, windows in zip(SIGNALS, signals, strict=True):
            rows = [
                "".join(f"{value:16.7e}".replace("e-", "e-0").replace("e+", "e+0") for value in row) for row in windows
            ]
            text = "\n".join(rows) + "\n"
            if name.endswith("z"):
                (folder / f"{name}_{part}.txt.xz").write_bytes(lzma.compress(text.encode()))
            else:
                (folder / f"{name}_{part}.txt").write_text(text)
        for column, values in {"y": labels, "subject": subjects}.items():
            (folder.parent / f"{column}_{part}.txt").write_text("".join(f"{value}\n" for value in values))


@pytest.fixture
def signals(tmp_path: Path, monkeypatch) -> np.ndarray:
    """Signals [9,3,128] that are in the files of both parts below ``tmp_path``."""
    monkeypatch.setattr(uci_har, "COUNTS", {"train": 3, "test": 3})
    signals = np.random.default_rng(0).normal(size=(9, 3, 128))
    write_originals(tmp_path, signals, [1, 6, 3], [30, 1, 1])
    return signals


def test_the_archive_may_be_unpacked_straight_into_the_folder_of_data(tmp_path, signals) -> None:
    for part in ("train", "test"):
        (tmp_path / "uci_har" / part).rename(tmp_path / part)
    (tmp_path / "uci_har").rmdir()
    assert ORIGINS["uci_har"].missing(tmp_path) == []
    train, _ = UCIHAR().load(tmp_path, 4)
    np.testing.assert_allclose(train.x, signals.transpose(1, 0, 2), rtol=1e-6)
    (tmp_path / "test" / "y_test.txt").write_text("?")
    with pytest.raises(
        DataError, match=r"y_test.txt: could not .*; replace it by the original, from https://archive.ics"
    ):
        UCIHAR().load(tmp_path, 4)


def test_windows_labels_and_subjects_are_those_of_the_files(tmp_path, signals) -> None:
    for part in UCIHAR().load(tmp_path, 4):
        assert part.x.dtype.itemsize == 4
        np.testing.assert_allclose(part.x, signals.transpose(1, 0, 2), rtol=1e-6)
        assert (part.y.tolist(), part.group.tolist()) == ([0, 5, 2], [30, 1, 1])
        assert part.recording.tolist() == [0, 1, 2]
        assert part.classes[part.y[1]] == "laying"


@pytest.mark.parametrize(
    ("file", "content", "line"),
    [
        ("y_test.txt", "1\n7\n3\n", "y_test.txt: line 2 is 7, 1 to 6 expected"),
        ("subject_test.txt", "1\n2\n0\n", "subject_test.txt: line 3 is 0, 1 to 30 expected"),
        ("y_test.txt", "1\n2\n", "2 numbers in 2 lines, 3 in 3 expected"),
        ("y_test.txt", "1 2\n3\n", "3 numbers in 2 lines, 3 in 3 expected"),
        ("y_test.txt", "1\nx\n3\n", "y_test.txt: could not convert string"),
        ("y_test.txt", "1\n" * 99, "0 numbers in 36 lines, 3 in 3 expected"),
        ("Inertial Signals/body_acc_z_test.txt.xz", "no archive", "body_acc_z_test.txt.xz: Input format not supported"),
    ],
)
def test_damaged_files_are_named(tmp_path, signals, file: str, content: str, line: str) -> None:
    (tmp_path / "uci_har" / "test" / file).write_text(content)
    with pytest.raises(DataError, match=line):
        UCIHAR().load(tmp_path, 4)


def test_a_missing_file_is_told_of_with_its_source(tmp_path, signals) -> None:
    path = tmp_path / "uci_har" / "train" / "y_train.txt"
    path.unlink()
    with pytest.raises(DataError, match=f"{path}: missing; replace it by the original, from https://archive.ics.uci"):
        UCIHAR().load(tmp_path, 4)


@pytest.fixture
def mirrors(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirrors]:
    with served(monkeypatch) as mirrors:
        yield mirrors


def test_without_a_folder_the_archive_is_downloaded_and_unpacked(tmp_path, signals, mirrors, monkeypatch) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        for path in (tmp_path / "uci_har").rglob("*.*"):
            packed.write(path, f"UCI HAR Dataset/{path.relative_to(tmp_path / 'uci_har')}")
        packed.writestr("__MACOSX/UCI HAR Dataset/._y_train.txt", "")
    mirrors.files["/good/a.zip"] = archive.getvalue()
    [file] = ORIGINS["uci_har"].files
    digest = f"sha256:{hashlib.sha256(archive.getvalue()).hexdigest()}"
    here = replace(file, digest=digest, urls=(f"{mirrors['good']}a.zip",))
    monkeypatch.setitem(ORIGINS, "uci_har", replace(ORIGINS["uci_har"], files=(here,)))
    train, _ = UCIHAR().load(tmp_path / "new", 4)
    np.testing.assert_allclose(train.x, signals.transpose(1, 0, 2), rtol=1e-6)
    assert {path.name for path in (tmp_path / "new/uci_har").iterdir()} == {file.name, "UCI HAR Dataset"}
    damaged = tmp_path / "new/uci_har/UCI HAR Dataset/test/y_test.txt"
    damaged.write_text("?")
    remedy = "delete uci_har/UCI HAR Dataset, and the original is downloaded and unpacked"
    with pytest.raises(DataError, match=f"{damaged}: .*; {remedy}"):
        UCIHAR().load(tmp_path / "new", 4)


def test_the_original_files_are_the_published_ones() -> None:
    """Counts of the data set's README and of its paper; no subject is in both parts."""
    train, test = UCIHAR().load(real_data("uci_har"), 4)
    assert (tuple(train.x.shape), tuple(test.x.shape)) == ((7352, 9, 128), (2947, 9, 128))
    assert train.y.bincount().tolist() == [1226, 1073, 986, 1286, 1374, 1407]
    assert test.y.bincount().tolist() == [496, 471, 420, 491, 532, 537]
    assert (len(train.group.unique()), len(test.group.unique())) == (21, 9)
    assert not set(train.group.tolist()) & set(test.group.tolist())
    # total acceleration is body acceleration plus gravity, 1 g
    gravity = (train.x[:, 6:] - train.x[:, :3]).float().mean(-1).norm(dim=1)
    assert 0.95 < float(gravity.median()) < 1.05
