"""The cache lies in the data's folder where that may be written, and nowhere that it was not asked for."""

import pytest

from membrane.data.store import location
from membrane.data.store.location import data_cache
from membrane.errors import DataError


def test_a_folder_that_nobody_may_write_stays_as_it_is(tmp_path, monkeypatch) -> None:
    root = tmp_path / "data"
    root.mkdir(mode=0o555)
    monkeypatch.setattr(location, "own_cache", lambda: tmp_path / "own")
    assert data_cache(root).parent == tmp_path / "own"
    root.chmod(0o755)
    assert data_cache(root) == root / ".cache"


def test_without_any_folder_to_write_it_says_so(tmp_path, monkeypatch) -> None:
    (tmp_path / ".cache").write_text("in the way")
    monkeypatch.setattr(location, "own_cache", lambda: tmp_path / ".cache")
    with pytest.raises(DataError, match="no folder for converted data can be written"):
        data_cache(tmp_path)


def test_a_folder_of_data_that_is_not_there_is_not_made(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(location, "own_cache", lambda: tmp_path / "own")
    assert data_cache(tmp_path / "data").parent == tmp_path / "own"
    assert not (tmp_path / "data").exists()
