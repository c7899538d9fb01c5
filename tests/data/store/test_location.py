"""The cache lies in the data's folder where that may be written, and nowhere that it was not asked for."""

from membrane.data.store import location
from membrane.data.store.location import readable_caches, remembered_digests, writable_cache


def test_a_folder_that_nobody_may_write_stays_as_it_is(tmp_path, monkeypatch) -> None:
    root = tmp_path / "data"
    root.mkdir(mode=0o555)
    monkeypatch.setattr(location, "own_cache", lambda: tmp_path / "own")
    own = writable_cache(root)
    assert own is not None
    assert own.parent == tmp_path / "own"
    assert readable_caches(root) == [root / ".cache", own]
    root.chmod(0o755)
    assert writable_cache(root) == root / ".cache"
    assert readable_caches(root) == [root / ".cache", own]


def test_there_may_be_no_folder_to_write(tmp_path, monkeypatch) -> None:
    (tmp_path / ".cache").write_text("in the way")
    monkeypatch.setattr(location, "own_cache", lambda: tmp_path / ".cache")
    assert writable_cache(tmp_path) is None
    assert remembered_digests(tmp_path, "nmnist") is None


def test_a_folder_of_data_that_is_not_there_is_not_made(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(location, "own_cache", lambda: tmp_path / "own")
    own = writable_cache(tmp_path / "data")
    assert own is not None
    assert own.parent == tmp_path / "own"
    assert not (tmp_path / "data").exists()
