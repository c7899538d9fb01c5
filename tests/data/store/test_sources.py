"""Original files: used where they are, otherwise downloaded, checked and unpacked, or one line that says what to do."""

import hashlib
import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from mirrors import CONTENT, HALF, Mirrors, served

from membrane.data.origins import Origin, SourceFile
from membrane.data.store import identity, sources
from membrane.data.store.sources import damaged_file, located_file, original_content, original_file, read_verified
from membrane.errors import DataError

MD5 = hashlib.md5(CONTENT).hexdigest()
NAME = "numbers.gz"


@pytest.fixture
def mirrors(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirrors]:
    with served(monkeypatch) as mirrors:
        yield mirrors


def origin_of(*urls: str, name: str = NAME, digest: str | None = f"md5:{MD5}", **fields: str) -> Origin:
    file = SourceFile(name, digest, urls=urls, forms=() if fields else ("numbers",), **fields)
    return Origin(name="ours", licence="MIT", page="https://page", size=1, files=(file,), folders=("Theirs",))


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(DataError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_missing_file_is_downloaded_into_the_folder_of_the_data_set(tmp_path: Path, mirrors: Mirrors) -> None:
    path = original_file(tmp_path, origin_of(f"{mirrors['good']}{NAME}"), NAME)
    assert path == tmp_path / "ours" / NAME
    assert path.read_bytes() == CONTENT


def test_a_file_that_is_there_is_neither_asked_for_nor_overwritten(tmp_path: Path, mirrors: Mirrors) -> None:
    (tmp_path / "Theirs").mkdir()
    (tmp_path / "Theirs" / "numbers").write_bytes(b"unpacked")  # of which no digest is known
    path = original_file(tmp_path, origin_of(f"{mirrors['good']}{NAME}"), NAME)
    assert path.read_bytes() == b"unpacked"
    assert mirrors.asked == []


def test_a_file_that_is_nowhere_is_told_of_with_what_to_do(tmp_path: Path, mirrors: Mirrors) -> None:
    put = f"put the original {NAME} from https://page into {tmp_path / 'ours'}"
    advice = f"{put}, or set paths.data to the folder above its own"
    path = tmp_path / "ours" / NAME
    message = refused(lambda: original_file(tmp_path, origin_of(f"{mirrors['absent']}{NAME}"), NAME))
    assert message == f"{path}: missing, and could not be downloaded ({mirrors.host}: HTTP 404); {advice}"
    assert refused(lambda: original_file(tmp_path, origin_of(), NAME)) == f"{path}: missing; {advice}"


@pytest.mark.parametrize("digest", [f"md5:{MD5}", f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"])
@pytest.mark.parametrize("urls", [(), ("http://127.0.0.1:9/x",)])
def test_a_file_that_a_person_put_there_is_checked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, digest: str, urls: tuple[str, ...]
) -> None:
    path = tmp_path / "ours" / NAME
    path.parent.mkdir()
    path.write_bytes(CONTENT[:HALF])
    algorithm, _, expected = digest.partition(":")
    half = hashlib.new(algorithm, CONTENT[:HALF]).hexdigest()
    remedy = "delete it, and the original is downloaded" if urls else "replace it by the original, from https://page"
    line = f"{path}: {algorithm} is {half}, the original's is {expected} ({HALF} bytes); {remedy}"
    origin = origin_of(*urls, digest=digest)
    assert refused(lambda: original_file(tmp_path, origin, NAME)) == line
    path.write_bytes(CONTENT)
    reads = []
    digest_of = identity.file_digest
    monkeypatch.setattr(identity, "file_digest", lambda *which: reads.append(which) or digest_of(*which))
    assert original_file(tmp_path, origin, NAME) == original_file(tmp_path, origin, NAME) == path
    assert reads == [(path, algorithm)]
    assert located_file(tmp_path, origin, NAME) == path


def test_a_file_whose_first_download_was_noted_is_checked_from_then_on(tmp_path: Path, mirrors: Mirrors) -> None:
    origin = origin_of(f"{mirrors['good']}{NAME}", digest=None)
    path = original_file(tmp_path, origin, NAME)
    path.write_bytes(b"changed")
    assert refused(lambda: original_file(tmp_path, origin, NAME)).startswith(f"{path}: sha256 is ")


def archive_of(files: dict[str, str]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return content.getvalue()


def test_an_archive_is_downloaded_and_unpacked_once(tmp_path: Path, mirrors: Mirrors) -> None:
    content = archive_of({"x/1.txt": "one"})
    mirrors.files["/good/a.zip"] = content
    digest = f"md5:{hashlib.md5(content).hexdigest()}"
    origin = origin_of(f"{mirrors['good']}a.zip", name="a.zip", digest=digest, unpacked="files")
    for _ in range(2):
        folder = original_content(tmp_path, origin, "a.zip")
        assert folder == tmp_path / "ours/files"
        assert (folder / "x/1.txt").read_text() == "one"
    assert len(mirrors.asked) == 1
    assert sorted(path.name for path in (tmp_path / "ours").iterdir()) == ["a.zip", "files"]


def test_an_archive_that_is_not_the_original_is_not_unpacked(tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "a.zip").write_bytes(archive_of({"x": "one"}))
    origin = origin_of(name="a.zip", unpacked="files")
    assert ": md5 is " in refused(lambda: original_content(tmp_path, origin, "a.zip"))
    assert not (tmp_path / "ours/files").exists()
    (tmp_path / "Theirs" / "files").mkdir(parents=True)  # unpacked by another program
    assert original_content(tmp_path, origin, "a.zip") == tmp_path / "Theirs" / "files"


def test_an_archive_without_what_is_read_is_told_of(tmp_path: Path, mirrors: Mirrors) -> None:
    mirrors.files["/good/a.zip"] = archive_of({"x/1.txt": "one"})
    file = SourceFile("a.zip", urls=(f"{mirrors['good']}a.zip",), unpacked="files", forms=("y/",))
    origin = Origin(name="ours", licence="MIT", page="https://page", size=1, files=(file,))
    archive = tmp_path / "ours" / "a.zip"
    line = f"{archive}: holds no y/; nothing was unpacked; delete it and a.zip.sha256, and the original is downloaded"
    for _ in range(2):
        assert refused(lambda: original_content(tmp_path, origin, "a.zip")) == line
    folder = tmp_path / "ours" / "files"
    assert not folder.exists()
    folder.mkdir()  # by a person
    remedy = "delete ours/files, and the original is downloaded and unpacked"
    assert refused(lambda: original_content(tmp_path, origin, "a.zip")) == f"{folder / 'y'}: missing; {remedy}"
    (tmp_path / "ours" / "files" / "y").mkdir()
    assert original_content(tmp_path, origin, "a.zip") == tmp_path / "ours" / "files" / "y"


def test_bytes_are_verified(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(CONTENT)
    assert read_verified(path, MD5) == read_verified(path, None) == CONTENT
    path.write_bytes(CONTENT[:HALF])
    half = hashlib.md5(CONTENT[:HALF]).hexdigest()
    message = refused(lambda: read_verified(path, MD5))
    assert message == f"{path}: md5 is {half}, the original's is {MD5} ({HALF} bytes); replace it by the original"
    assert refused(lambda: read_verified(tmp_path, None)) == f"{tmp_path}: cannot be read: Is a directory"


def test_the_folder_tells_what_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    by_hand = replace(origin_of(), name="set")
    monkeypatch.setattr(sources, "ORIGINS", {"ours": origin_of("https://x"), "set": by_hand})
    endings = {
        f"ours/{NAME}": "delete it, and the original is downloaded",
        f"set/{NAME}": "replace it by the original, from https://page",
        f"elsewhere/{NAME}": "replace it by the original",
    }
    for path, ending in endings.items():
        assert str(damaged_file(Path("data") / path, "too short")) == f"data/{path}: too short; {ending}"
