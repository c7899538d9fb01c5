"""EuroSAT and GTSRB from small files in the original formats, in folders and archives."""

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mirrors import served
from PIL import Image

from membrane.data import eurosat, gtsrb
from membrane.data.eurosat import EuroSAT
from membrane.data.gtsrb import GTSRB
from membrane.data.image_file import read_picture
from membrane.data.origins import ORIGINS, Origin
from membrane.errors import ConfigError, DataError


def picture(colour: tuple[int, int, int], size: tuple[int, int] = (64, 64), form: str = "JPEG") -> bytes:
    """A picture of one colour."""
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, form, quality=95)
    return file.getvalue()


def undigested(origin: Origin) -> Origin:
    """The same, with files of which no digest is known."""
    return replace(origin, files=tuple(replace(file, digest=None) for file in origin.files))


def write_eurosat(root: Path, archived: bool, **changes: bytes) -> None:
    """Two pictures of AnnualCrop and one of River."""
    files = {
        "2750/AnnualCrop/AnnualCrop_1.jpg": picture((200, 0, 0)),
        "2750/AnnualCrop/AnnualCrop_2.jpg": picture((0, 100, 0)),
        "2750/River/River_1.jpg": picture((0, 0, 50)),
    } | {f"2750/River/{name}.jpg": content for name, content in changes.items()}
    (root / "eurosat").mkdir()
    if archived:
        with zipfile.ZipFile(root / "eurosat" / "EuroSAT.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return
    for name, content in files.items():
        path = root / "eurosat" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@pytest.mark.parametrize("archived", [False, True])
def test_eurosat_has_the_colours_and_classes_of_its_pictures(tmp_path, monkeypatch, archived: bool) -> None:
    monkeypatch.setattr(eurosat, "COUNT", 3)
    monkeypatch.setitem(ORIGINS, "eurosat", undigested(ORIGINS["eurosat"]))
    write_eurosat(tmp_path, archived)
    (train,) = EuroSAT().load(tmp_path, 4)
    assert tuple(train.x.shape) == (3, 3, 64, 64)
    np.testing.assert_allclose(train.x.float().mean((2, 3)), [[200, 0, 0], [0, 100, 0], [0, 0, 50]], atol=3)
    assert [train.classes[label] for label in train.y] == ["AnnualCrop", "AnnualCrop", "River"]
    assert (train.scale, train.recording.tolist()) == (1 / 255, [0, 1, 2])


@pytest.mark.parametrize(
    ("changes", "count", "line"),
    [
        ({}, 4, "3 pictures, 4 expected"),
        ({"River_2": picture((0, 0, 0), (64, 65))}, 4, r"River_2.jpg: has 64×65 pixels, 64×64 expected"),
        ({"River_2": picture((0, 0, 0))[:300]}, 4, r"River_2.jpg: no picture that can be read"),
        ({"River_2": b"GIF89a"}, 4, r"River_2.jpg: no picture that can be read"),
    ],
)
def test_damaged_files_of_eurosat_are_named(tmp_path, monkeypatch, changes, count: int, line: str) -> None:
    monkeypatch.setattr(eurosat, "COUNT", count)
    write_eurosat(tmp_path, archived=False, **changes)
    with pytest.raises(DataError, match=line):
        EuroSAT().load(tmp_path, 4)


@pytest.mark.parametrize(("data", "name"), [(EuroSAT(), "EuroSAT.zip"), (GTSRB(), "GTSRB-Training_fixed.zip")])
def test_missing_files_are_told_of_with_their_source(tmp_path, data, name: str) -> None:
    with pytest.raises(
        DataError, match=rf"{name}: missing, and could not be downloaded .*; put the original .*https://"
    ):
        data.load(tmp_path, 4)


def write_gtsrb(root: Path, table: str) -> None:
    """Three training pictures of two drives, two test pictures."""
    training, testing = root / "gtsrb" / "GTSRB" / "Training", root / "gtsrb" / "GTSRB" / "Final_Test" / "Images"
    for name, size in {
        "00000/00000_00000": (30, 29),
        "00042/00000_00000": (15, 60),
        "00042/00000_00001": (32, 32),
    }.items():
        path = training / f"{name}.ppm"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture((10, 20, 30), size, "PPM"))
    testing.mkdir(parents=True)
    for number, colour in enumerate([(255, 0, 0), (0, 255, 0)]):
        (testing / f"0000{number}.ppm").write_bytes(picture(colour, (40, 50), "PPM"))
    (root / "gtsrb" / "GT-final_test.csv").write_text(table)


def test_the_archives_of_gtsrb_are_downloaded_and_unpacked(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(gtsrb, "TESTED", 2)
    write_gtsrb(tmp_path / "served", TABLE)
    folder = tmp_path / "served" / "gtsrb"
    with served(monkeypatch) as mirrors:
        contents = ("GTSRB/Training", "GTSRB/Final_Test", ".")
        files = []
        for file, inside in zip(ORIGINS["gtsrb"].files, contents, strict=True):
            archive = io.BytesIO()
            with zipfile.ZipFile(archive, "w") as packed:
                for path in (folder / inside).rglob("*.csv" if inside == "." else "*.ppm"):
                    packed.write(path, path.relative_to(folder))
            mirrors.files[f"/good/{file.name}"] = archive.getvalue()
            files.append(replace(file, digest=None, urls=(f"{mirrors['good']}{file.name}",)))
        monkeypatch.setitem(ORIGINS, "gtsrb", replace(ORIGINS["gtsrb"], files=tuple(files)))
        train, test = GTSRB(size=16).load(tmp_path / "new", 4)
    assert (train.y.tolist(), test.y.tolist()) == ([0, 42, 42], [7, 42])
    assert not ORIGINS["gtsrb"].missing(tmp_path / "new")


TABLE = "Filename;Width;Height;ClassId\n00001.ppm;40;50;7\n00000.ppm;40;50;42\n"


def test_gtsrb_has_one_size_and_keeps_drives_together(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(gtsrb, "TESTED", 2)
    write_gtsrb(tmp_path, TABLE)
    train, test = GTSRB(size=16).load(tmp_path, 4)
    assert tuple(train.x.shape) == (3, 3, 16, 16)
    assert train.x[:, :, 5, 5].tolist() == [[10, 20, 30]] * 3
    assert train.y.tolist() == [0, 42, 42]
    assert train.recording[0] != train.recording[1] == train.recording[2]
    assert test.x[:, :, 0, 0].tolist() == [[0, 255, 0], [255, 0, 0]]
    assert (test.y.tolist(), len(test.recording.unique())) == ([7, 42], 2)


@pytest.mark.parametrize(
    ("table", "line"),
    [
        (TABLE.replace(";42", ";43"), "line 3 names no picture and class from 0 to 42"),
        (TABLE.replace("00001.ppm", "../../secret.ppm"), "line 2 names no picture"),
        (TABLE.replace(";7", ""), "line 2 names no picture"),
        (TABLE.splitlines()[0] + "\n", "0 pictures, 2 expected"),
        (TABLE.replace("00001", "00009"), r"00009.ppm: cannot be read"),
    ],
)
def test_damaged_tables_of_gtsrb_are_named(tmp_path, monkeypatch, table: str, line: str) -> None:
    monkeypatch.setattr(gtsrb, "TESTED", 2)
    write_gtsrb(tmp_path, table)
    with pytest.raises(DataError, match=line):
        GTSRB().load(tmp_path, 4)


def test_a_picture_of_another_name_is_refused(tmp_path) -> None:
    write_gtsrb(tmp_path, TABLE)
    (tmp_path / "gtsrb" / "GTSRB" / "Training" / "00042" / "sign.ppm").write_bytes(picture((0, 0, 0), form="PPM"))
    with pytest.raises(DataError, match=r"00042/sign.ppm is not CLASS/TRACK_NUMBER.ppm"):
        GTSRB().load(tmp_path, 4)


def test_a_picture_that_would_fill_the_memory_is_refused_unread(tmp_path) -> None:
    (tmp_path / "a.ppm").write_bytes(b"P6 100000 100000 255\n" + bytes(30))
    with pytest.raises(DataError, match=r"a.ppm: (declares 100000×100000 pixels|no picture)"):
        read_picture(tmp_path / "a.ppm")


def test_scaling_averages_what_a_pixel_covers(tmp_path) -> None:
    """A board of black and white pixels becomes grey."""
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    Image.fromarray(board).save(tmp_path / "a.png")
    x = read_picture(tmp_path / "a.png", 16)
    assert x.shape == (3, 16, 16)
    np.testing.assert_allclose(x, 127.5, atol=1)


@pytest.mark.parametrize("size", [(4097, 1), (1, 4097)])
def test_a_picture_that_declares_too_many_pixels_is_not_unpacked(tmp_path, size: tuple[int, int]) -> None:
    (tmp_path / "large.png").write_bytes(picture((0, 0, 0), size, "PNG"))
    with pytest.raises(DataError, match=rf"large.png: declares {size[0]}×{size[1]} pixels, too many"):
        read_picture(tmp_path / "large.png")


def test_signs_have_a_size() -> None:
    with pytest.raises(ConfigError, match="size must be 1 or more, not 0"):
        GTSRB(size=0)
