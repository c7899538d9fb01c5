"""The cache as folders: only what was cached is counted, and removed."""

import logging
from pathlib import Path

import pytest

from membrane.data.store import entries, location
from membrane.data.store.entries import bytes_below, cached_bytes, cached_entries, cached_sets, remove_caches
from membrane.files.lock import hold_lock

KEY, OTHER = "0123456789abcdef", "fedcba9876543210"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two entries of a data set and one of another, what is kept beside them, and files of other programs."""
    monkeypatch.setattr(location, "own_cache", lambda: tmp_path / "own")
    data = tmp_path / "data"
    for path, size in {
        f"a/{KEY}/manifest.json": 3,
        f"a/{KEY}/train.x": 100,
        f"a/{OTHER}/manifest.json": 5,
        f"a/.{OTHER}.left/train.x": 7,
        f"a/{KEY}.lock": 0,
        "a/sources.json": 11,
        "a/md5.json": 13,
        f"a/{KEY}.json": 17,
        "a/.sources.json.tmp": 19,
        f"b/{KEY}/manifest.json": 1000,
        "pip/http/index": 1,
        f"a/mine/{KEY}": 1,
        "a/mine.json": 1,
        "a.txt": 1,
        f"{KEY}/manifest.json": 1,
    }.items():
        (data / ".cache" / path).parent.mkdir(parents=True, exist_ok=True)
        (data / ".cache" / path).write_bytes(bytes(size))
    return data


FOREIGN = [
    f".cache/{path}" for path in (f"{KEY}/manifest.json", "a.txt", "a/mine.json", f"a/mine/{KEY}", "pip/http/index")
]


def files(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def test_entries_are_counted(root: Path) -> None:
    assert cached_sets(root) == ["a", "b"]
    assert [path.name for path in cached_entries(root, "a")] == [KEY, OTHER]
    assert [cached_bytes(root, name) for name in ("a", "b", "c")] == [108, 1000, 0]


def test_nothing_else_is_removed(root: Path) -> None:
    assert remove_caches(root) == 3 + 100 + 5 + 7 + 11 + 13 + 17 + 19 + 1000
    assert files(root) == FOREIGN
    assert remove_caches(root) == 0


def test_the_persons_own_files_in_an_entry_stay(root: Path) -> None:
    entry = root / ".cache" / "b" / KEY
    for name in ("notes.md", "my/plot.csv", "train.csv"):
        (entry / name).parent.mkdir(exist_ok=True)
        (entry / name).write_text("mine")
    (entry / ".manifest.json.0123456789abcdef.tmp").touch()
    assert remove_caches(root) == 3 + 100 + 5 + 7 + 11 + 13 + 17 + 19 + 1000
    kept = [f".cache/b/{KEY}/{name}" for name in ("my/plot.csv", "notes.md", "train.csv")]
    assert files(root) == sorted([*FOREIGN, *kept])


def test_one_data_set_alone_is_removed(root: Path) -> None:
    assert remove_caches(root, ["b"]) == 1000
    assert cached_sets(root) == ["a"]
    assert not (root / ".cache" / "b").exists()


def test_what_another_process_builds_stays(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    with hold_lock(root / ".cache" / "a" / f"{OTHER}.lock", "it"), caplog.at_level(logging.INFO):
        remove_caches(root)
    assert sorted(path.name for path in (root / ".cache" / "a").iterdir() if path.is_dir()) == [
        f".{OTHER}.left",
        OTHER,
        "mine",
    ]
    assert f"cache: not removed: {root / '.cache' / 'a' / OTHER} is being run by process" in caplog.text


def test_links_are_not_followed(root: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "x").write_bytes(bytes(50))
    (root / ".cache" / "c").symlink_to(tmp_path / "precious")
    (root / ".cache" / "b" / OTHER).symlink_to(tmp_path / "precious")
    assert bytes_below(root / ".cache" / "b" / OTHER) < 100
    remove_caches(root)
    assert (tmp_path / "precious" / "x").exists()


def test_an_empty_cache_leaves_no_folder(root: Path) -> None:
    for path in FOREIGN:
        (root / path).unlink()
    for folder in ("a/mine", KEY, "pip/http", "pip"):
        (root / ".cache" / folder).rmdir()
    remove_caches(root)
    assert list(root.iterdir()) == []


def test_a_folder_without_a_cache_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(location, "own_cache", lambda: tmp_path / "own")
    assert (cached_sets(tmp_path / "nowhere"), remove_caches(tmp_path / "nowhere")) == ([], 0)
    assert entries.cached_bytes(tmp_path, "a") == 0


def test_what_may_not_be_removed_is_named_and_not_counted(root: Path, caplog, monkeypatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("shutil.rmtree", refuse)
    monkeypatch.setattr(entries, "remove_columns", refuse)
    assert remove_caches(root) == 11 + 13 + 17 + 19
    assert f"cache: not removed: [Errno 13] Permission denied: '{root / '.cache' / 'b' / KEY}'" in caplog.text
    assert cached_sets(root) == ["a", "b"]
