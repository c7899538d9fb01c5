"""Archives: unpacked whole, or not at all, and nothing outside their folder."""

import gzip
import io
import logging
import random
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from membrane.data.store import archives
from membrane.data.store.unpacking import unpack
from membrane.errors import DataError

FILES = {"a.txt": b"first", "deep/er/b.bin": bytes(range(256)) * 40, "empty": b""}


def write_zip(path: Path, files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def write_tar(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for name, content in files.items():
            archive.addfile(tar_entry(name, size=len(content)), io.BytesIO(content))
    return path


def tar_entry(name: str, **fields: object) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(entry, field, value)
    return entry


def write_tar_entry(path: Path, name: str, **fields: object) -> Path:
    with tarfile.open(path, "w") as archive:
        archive.addfile(tar_entry(name, **fields))
    return path


def write_zip_entry(path: Path, name: str, mode: int) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        entry = zipfile.ZipInfo(name)
        entry.external_attr = mode << 16
        archive.writestr(entry, "../../precious")
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refusal(archive: Path) -> str:
    """The line on an archive that is not unpacked, of which nothing is left anywhere."""
    before = sorted(archive.parent.rglob("*"))
    with pytest.raises(DataError) as caught:
        unpack(archive, archive.parent / "unpacked")
    assert sorted(archive.parent.rglob("*")) == before
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(f"{archive}: ")
    assert line.endswith("; nothing was unpacked")
    return line.removeprefix(f"{archive}: ").removesuffix("; nothing was unpacked")


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz"])
def test_files_are_unpacked_as_they_were(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    archive = (write_zip if name == "a.zip" else write_tar)(tmp_path / name, FILES)
    with caplog.at_level(logging.INFO):
        unpack(archive, tmp_path / "new" / "unpacked")
    assert contents(tmp_path / "new") == {f"unpacked/{file}": content for file, content in FILES.items()}
    assert stat.S_IMODE((tmp_path / "new/unpacked").stat().st_mode) == 0o755
    assert caplog.messages == [f"unpacking {archive} to {tmp_path / 'new' / 'unpacked'}"]


@pytest.mark.parametrize("write", [write_zip, write_tar])
def test_a_folder_of_the_archive_with_that_name_becomes_it(tmp_path: Path, write: Callable[..., Path]) -> None:
    files = {"./set/": b"", "set/x": b"1", "set/y/z": b"2", "__MACOSX/x": b"3"} if write is write_zip else {}
    archive = write(tmp_path / "a", files or {"./set/x": b"1", "set/y/z": b"2", "__MACOSX/x": b"3"})
    unpack(archive, tmp_path / "ours" / "set")
    assert contents(tmp_path / "ours") == {"set/x": b"1", "set/y/z": b"2"}


def test_a_folder_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "unpacked").mkdir()
    unpack(write_zip(tmp_path / "a.zip", FILES), tmp_path / "unpacked")
    assert contents(tmp_path / "unpacked") == {}


OUTSIDE = {
    "/etc/passwd": "is an absolute path",
    "//x": "is an absolute path",
    "C:/x": "is an absolute path",
    "../x": "leads out of the folder",
    "a/../../x": "leads out of the folder",
    "a/..": "leads out of the folder",
    "..\\x": "has a backslash or a control character in its name",
    "a\nb": "has a backslash or a control character in its name",
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    files = {"good": b"good", name: b"bad"}
    for archive in (write_zip(tmp_path / "a.zip", files), write_tar(tmp_path / "a.tar", files)):
        assert refusal(archive) == f"{name!r} {OUTSIDE[name]}"


def test_links_and_what_is_no_file_are_refused(tmp_path: Path) -> None:
    assert refusal(write_zip_entry(tmp_path / "l.zip", "x", stat.S_IFLNK | 0o777)) == "'x' is a link"
    assert refusal(write_zip_entry(tmp_path / "f.zip", "x", stat.S_IFIFO | 0o666)) == "'x' is no file"
    for kind, line in [
        (tarfile.SYMTYPE, "is a link"),
        (tarfile.LNKTYPE, "is a link"),
        (tarfile.FIFOTYPE, "is no plain file"),
        (tarfile.CHRTYPE, "is no plain file"),
        (tarfile.GNUTYPE_SPARSE, "is no plain file"),
    ]:
        archive = write_tar_entry(tmp_path / "l.tar", "x", type=kind, linkname="../precious")
        assert refusal(archive) == f"'x' {line}"
        archive.unlink()


def test_a_name_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    content = write_zip(tmp_path / "a.zip", {"x": b"1", "y": b"2"}).read_bytes()
    (tmp_path / "a.zip").write_bytes(content.replace(b"y", b"x"))
    assert refusal(tmp_path / "a.zip") == "'x' is there twice"
    assert refusal(write_tar(tmp_path / "a.tar", {"x": b"1", "x/y": b"2"})).startswith("'x/y' ")
    assert refusal(write_tar(tmp_path / "b.tar", {"x/y": b"1", "x": b"2"})) == "'x' is there twice"


def test_bombs_are_refused_before_they_go_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "SPARED", 2**20)
    zeros = {"small": b"x", "zeros": bytes(2**22)}
    size = 2**22 + 1
    archive = write_zip(tmp_path / "a.zip", zeros)
    most = 200 * archive.stat().st_size + 2**20
    assert refusal(archive) == f"'zeros' makes it unpack to {size} bytes, {most} at most: a bomb?"
    archive = write_tar(tmp_path / "a.tar.gz", zeros)
    most = 200 * archive.stat().st_size + 2**20
    assert refusal(archive) == f"'zeros' makes it unpack to {size} bytes, {most} at most: a bomb?"
    # what lies behind the last member of a tar is read for gzip's checksum
    small = gzip.decompress(write_tar(tmp_path / "b.tar.gz", {"small": b"x"}).read_bytes())
    (tmp_path / "b.tar.gz").write_bytes(gzip.compress(small + bytes(2**23)))
    assert refusal(tmp_path / "b.tar.gz").startswith("'small' is followed by more than ")
    # a plain archive has no ratio to speak of
    unpack(write_tar(tmp_path / "a.tar", zeros), tmp_path / "unpacked")


def test_too_many_members_or_too_much_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    allowance = archives.Allowance(10, free=2**20)
    allowance.admit("a", 2**20)
    with pytest.raises(archives.UnsafeMember, match=r"'b' makes it need 1048577 bytes, 1048576 are free on the disk"):
        allowance.admit("b", 1)
    with pytest.raises(archives.UnsafeMember, match="'c' has -1 bytes"):
        allowance.admit("c", -1)
    monkeypatch.setattr(archives, "MOST_MEMBERS", 2)
    for archive in (write_zip(tmp_path / "a.zip", FILES), write_tar(tmp_path / "a.tar", FILES)):
        assert refusal(archive) == "'empty' is one of more than 2 members"


def test_a_zip_with_a_long_list_of_members_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = write_zip(tmp_path / "a.zip", {f"{n:03}": b"" for n in range(100)})
    with zipfile.ZipFile(archive) as opened:
        begin = opened.start_dir
    listing = archive.stat().st_size - 22 - begin
    assert archives.listing_bytes(archive) == listing
    monkeypatch.setattr(archives, "LISTING", listing - 1)
    assert refusal(archive) == f"its list of members has {listing} bytes, {listing - 1} at most"
    content = bytearray(archive.read_bytes())
    # a record of 64 bit in front of the end says so too, and counts alone
    content[-22:-22] = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, 100, 100, 2**40, begin)
    content[-22:-22] = struct.pack("<4sIQI", b"PK\x06\x07", 0, len(content) - 78, 1)
    archive.write_bytes(content)
    assert refusal(archive) == f"its list of members has {2**40} bytes, {listing - 1} at most"


def test_a_header_of_any_length_does_not_fill_the_memory(tmp_path: Path) -> None:
    entry = tar_entry("pax", type=tarfile.XHDTYPE, size=2**40)
    (tmp_path / "a.tar").write_bytes(entry.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    assert refusal(tmp_path / "a.tar") == f"begins with a header of {2**40} bytes, {2**20} at most"
    entry = tar_entry("x", size=2**40)
    (tmp_path / "b.tar").write_bytes(entry.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    assert refusal(tmp_path / "b.tar").startswith(f"'x' makes it unpack to {2**40} bytes, ")


def test_damage_is_named(tmp_path: Path) -> None:
    whole = write_zip(tmp_path / "a.zip", FILES, zipfile.ZIP_STORED).read_bytes()
    at = whole.index(FILES["deep/er/b.bin"])
    (tmp_path / "a.zip").write_bytes(whole[:at] + b"?" + whole[at + 1 :])
    assert refusal(tmp_path / "a.zip") == "'deep/er/b.bin' Bad CRC-32 for file 'deep/er/b.bin'"
    (tmp_path / "a.zip").write_bytes(whole[:-30])
    assert refusal(tmp_path / "a.zip") == "File is not a zip file"
    packed = write_tar(tmp_path / "a.tar.gz", FILES).read_bytes()
    (tmp_path / "a.tar.gz").write_bytes(packed[:-9])
    assert "end-of-stream marker" in refusal(tmp_path / "a.tar.gz")
    (tmp_path / "a.tar.gz").write_bytes(packed[:-8] + bytes(4) + packed[-4:])
    assert "CRC check failed" in refusal(tmp_path / "a.tar.gz")
    plain = write_tar(tmp_path / "a.tar", FILES).read_bytes()
    (tmp_path / "a.tar").write_bytes(plain[:5000])
    assert refusal(tmp_path / "a.tar").startswith("'deep/er/b.bin' ")
    for content in (b"", b"<html>please log in</html>", b"\x1f\x8b", b"PK"):
        (tmp_path / "a").write_bytes(content)
        refusal(tmp_path / "a")


def test_a_zip_that_lies_about_a_size_is_refused(tmp_path: Path) -> None:
    whole = write_zip(tmp_path / "a.zip", {"x": bytes(1000)}).read_bytes()
    for lie in (999, 1001):
        (tmp_path / "a.zip").write_bytes(whole.replace(struct.pack("<I", 1000), struct.pack("<I", lie)))
        assert refusal(tmp_path / "a.zip").startswith("'x' ")


def test_a_missing_archive_and_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "a.zip")
    archive = write_zip(tmp_path / "a.zip", FILES)
    with pytest.raises(DataError, match=f"{archive}: .*{archive}"):
        unpack(archive, archive / "unpacked")


def test_mutated_archives_are_unpacked_or_refused_and_nothing_is_written_elsewhere(tmp_path: Path) -> None:
    draw = random.Random(0)
    wholes = [write_zip(tmp_path / "a.zip", FILES).read_bytes(), write_tar(tmp_path / "a.tar", FILES).read_bytes()]
    wholes += [write_tar(tmp_path / "a.tar.gz", FILES).read_bytes()]
    inside = tmp_path / "inside"
    for turn in range(120):
        content = bytearray(wholes[turn % 3])
        for _ in range(draw.randint(1, 4)):
            content[draw.randrange(min(len(content), 4096))] = draw.choice([0, 46, 47, 255, draw.randrange(256)])
        inside.mkdir()
        (inside / "mutant").write_bytes(content[: draw.choice([len(content), draw.randrange(len(content))])])
        with suppress(DataError):
            unpack(inside / "mutant", inside / "unpacked")
        assert {path.name for path in inside.iterdir()} <= {"mutant", "unpacked"}
        assert {path.name for path in tmp_path.iterdir()} == {"a.zip", "a.tar", "a.tar.gz", "inside"}
        assert not any(path.is_symlink() for path in inside.rglob("*"))
        for path in sorted(inside.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        inside.rmdir()


def test_a_stream_goes_forward_only() -> None:
    stream = archives.ForwardStream(io.BytesIO(bytes(100)), most=100)
    assert (stream.seek(60), stream.tell(), len(stream.read(10))) == (60, 60, 10)
    with pytest.raises(ValueError, match=r"^begins with a member that begins in it$"):
        stream.seek(69)
    stream.member = "a.txt"
    with pytest.raises(archives.UnsafeMember, match=r"^'a.txt' is followed by a member that begins in it$"):
        stream.seek(0)
    assert stream.seek(1000) == 100  # the file ends there
