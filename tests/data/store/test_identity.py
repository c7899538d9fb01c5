"""A file's digest is remembered as long as the file is the same."""

import hashlib
import os
from pathlib import Path

import pytest

from membrane.data.store import identity
from membrane.data.store.identity import file_digests
from membrane.errors import DataError


@pytest.fixture
def reads(monkeypatch) -> list[str]:
    """The files that are read."""
    read = []

    def file_digest(path: Path, algorithm: str) -> str:
        read.append(path.name)
        return hashlib.new(algorithm, path.read_bytes()).hexdigest()

    monkeypatch.setattr(identity, "file_digest", file_digest)
    return read


def test_only_a_changed_file_is_read_again(tmp_path, reads) -> None:
    files = [tmp_path / name for name in "ab"]
    for path in files:
        path.write_text(path.name)
    memory = tmp_path / "cache" / "sources.json"
    first = file_digests(files, memory)
    assert first == {str(path): hashlib.sha256(path.name.encode()).hexdigest() for path in files}
    assert file_digests(files, memory) == first
    assert reads == ["a", "b"]
    files[0].write_text("c")
    os.utime(files[0], ns=(1, 1))
    assert file_digests(files, memory)[str(files[0])] == hashlib.sha256(b"c").hexdigest()
    assert file_digests(files[1:], memory) == {str(files[1]): first[str(files[1])]}
    assert reads == ["a", "b", "a"]


def test_a_file_that_was_changed_in_place_with_its_time_set_back_is_read_again(tmp_path, reads) -> None:
    path = tmp_path / "a"
    path.write_text("a")
    before = path.stat()
    file_digests([path], tmp_path / "sources.json")
    with path.open("r+") as file:
        file.write("b")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file_digests([path], tmp_path / "sources.json") == {str(path): hashlib.sha256(b"b").hexdigest()}


@pytest.mark.parametrize("content", ["", "[1]", '{"a": 3}', "\x00"])
def test_damaged_memory_is_as_good_as_none(tmp_path, reads, content: str) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "sources.json").write_text(content)
    assert list(file_digests([tmp_path / "a"], tmp_path / "sources.json")) == [str(tmp_path / "a")]
    assert reads == ["a"]


def test_where_nothing_can_be_remembered_files_are_read_each_time(tmp_path, reads) -> None:
    (tmp_path / "a").write_text("a")
    for _ in range(2):
        file_digests([tmp_path / "a"], tmp_path / "a" / "sources.json")
    assert reads == ["a", "a"]


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(DataError, match=r"b: cannot be read: No such file"):
        file_digests([tmp_path / "b"], tmp_path / "sources.json")
