"""Original files are found in folders and in archives, and what an archive says of them is not trusted."""

import zipfile
from pathlib import Path, PurePosixPath

import pytest

from membrane.data.store import originals
from membrane.data.store.originals import ZippedFile, files_inside, files_read, table_lines
from membrane.errors import DataError

CONTENTS = {"Train/0/2.bin": bytes(5000), "Train/0/10.bin": b"ten", "Train/1/1.BIN": b"one", "Train/1/empty.bin": b""}
OTHERS = {"Train/readme.txt": b"", "__MACOSX/Train/0/._2.bin": b"", "Train/0/.hidden.bin": b""}


def archived(path: Path, contents: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    """Write an archive with its folders."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.mkdir("Train")
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


def unpacked(path: Path, contents: dict[str, bytes]) -> Path:
    for name, content in contents.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def content(file: Path | ZippedFile) -> bytes:
    return file.read() if isinstance(file, ZippedFile) else file.read_bytes()


def test_folders_and_archives_hold_the_same_files_in_the_same_order(tmp_path) -> None:
    every = {**CONTENTS, **OTHERS}
    stored = archived(tmp_path / "stored.zip", every, zipfile.ZIP_STORED)
    for original in (unpacked(tmp_path / "folder", every), archived(tmp_path / "a.zip", every), stored):
        files = files_inside(original, ".bin")
        assert list(files) == [PurePosixPath(name) for name in sorted(CONTENTS)]
        assert {str(path): content(file) for path, file in files.items()} == CONTENTS


def test_what_is_read_is_an_archive_or_the_files_of_a_folder(tmp_path) -> None:
    folder, archive = unpacked(tmp_path / "folder", {**CONTENTS, **OTHERS}), archived(tmp_path / "a.zip", CONTENTS)
    visible = [folder / name for name in sorted({**CONTENTS, **OTHERS}) if name.lower().endswith(".bin")]
    assert files_read([folder, archive], ".bin") == sorted([archive, *visible])


def test_an_archive_behind_other_bytes_is_read(tmp_path) -> None:
    path = archived(tmp_path / "a.zip", CONTENTS)
    path.write_bytes(b"before" + path.read_bytes())
    assert content(files_inside(path, ".bin")[PurePosixPath("Train/0/10.bin")]) == b"ten"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"size": 4999}, "not the 4999 bytes that the archive lists"),  # no more than 5000 are unpacked
        ({"size": 5001}, "not the 5001 bytes"),
        ({"checksum": 1}, "not the 5000 bytes"),
        ({"start": 1}, "not the 5000 bytes|Error -3"),
        ({"start": 10**6}, "unpack requires"),
        ({"packed": 3}, "not the 5000 bytes"),
        ({"method": 0}, "not the 5000 bytes"),
        ({"archive": Path("missing.zip")}, "No such file"),
    ],
)
def test_a_file_that_is_not_as_listed_is_refused(tmp_path, changes, why) -> None:
    file = files_inside(archived(tmp_path / "a.zip", CONTENTS), ".bin")[PurePosixPath("Train/0/2.bin")]
    assert isinstance(file, ZippedFile)
    with pytest.raises(DataError, match=rf"byte \d+: Train/0/2.bin: .*({why})"):
        file._replace(**changes).read()


def test_unpacking_stops_behind_the_declared_size(tmp_path, monkeypatch) -> None:
    sizes = []
    real = originals.zlib.crc32
    monkeypatch.setattr(originals.zlib, "crc32", lambda content: sizes.append(len(content)) or real(content))
    bomb = archived(tmp_path / "a.zip", {"Train/0/2.bin": bytes(10**7)})
    file = files_inside(bomb, ".bin")[PurePosixPath("Train/0/2.bin")]
    assert isinstance(file, ZippedFile)
    file.read()
    with pytest.raises(DataError):
        file._replace(size=100).read()
    assert sizes == [10**7]  # the second had another length already


def test_what_is_no_archive_and_what_is_too_large_is_refused(tmp_path, monkeypatch) -> None:
    path = archived(tmp_path / "a.zip", CONTENTS)
    monkeypatch.setattr(originals, "LARGEST", 4999)
    with pytest.raises(DataError, match=r"Train/0/2.bin: 5000 bytes, at most 4999 expected"):
        files_inside(path, ".bin")
    compressed = archived(tmp_path / "b.zip", {"a.bin": b"a"}, zipfile.ZIP_LZMA)
    with pytest.raises(DataError, match="compressed in another way"):
        files_inside(compressed, ".bin")
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match=r"a.zip: no ZIP archive that can be read"):
        files_inside(path, ".bin")


def test_a_file_that_the_archive_cannot_hold_is_refused(tmp_path) -> None:
    path = archived(tmp_path / "a.zip", {"a.bin": b"abc"}, zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\x01\x02") + 20
    content[at : at + 4] = (1 << 25).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(
        DataError, match=rf"a.zip: byte \d+: a.bin: {1 << 25} bytes, but the archive has {len(content)}"
    ):
        files_inside(path, ".bin")


def test_a_folder_that_cannot_be_read_is_told_of(tmp_path, monkeypatch) -> None:
    def walk(folder: Path, onerror) -> list[None]:
        onerror(PermissionError(13, "Permission denied", str(folder)))
        return []

    monkeypatch.setattr(originals.os, "walk", walk)
    with pytest.raises(DataError, match="Permission denied"):
        files_inside(tmp_path, ".bin")


def test_a_table_is_read_up_to_a_length(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(originals, "LONGEST", 7)
    table = tmp_path / "table.txt"
    table.write_bytes(b"a\r\n\xff\nb\n")
    assert table_lines(table) == ["a", "\ufffd", "b"]
    table.write_bytes(b"a\nb\nc\nde")
    with pytest.raises(DataError, match=r"table.txt: byte 7: a table of at most so many"):
        table_lines(table)
    with pytest.raises(DataError, match="nothing: cannot be read: No such file"):
        table_lines(tmp_path / "nothing")
