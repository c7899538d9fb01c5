"""One path and one lock for a folder, however it is named."""

from pathlib import Path

import pytest

from membrane.runs.location import lock_path, real_path


def test_every_name_of_a_folder_gives_one_path_and_one_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real" / "x").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "chain").symlink_to(tmp_path / "link")
    monkeypatch.chdir(tmp_path)
    for name in ("real", "link", "chain", "./real/", "real/x/..", "link/x/..", "nowhere/../real"):
        assert str(real_path(Path(name))) == "real", name
        assert real_path(tmp_path / name) == tmp_path / "real", name
        assert lock_path(Path(name)) == tmp_path / ".real.lock", name
    monkeypatch.chdir(tmp_path / "link")
    for name in (".", "../real", "x/..", "../link"):
        assert real_path(Path(name)) == tmp_path / "real", name
        assert lock_path(Path(name)) == tmp_path / ".real.lock", name
    assert real_path(Path("x")) == Path("x")
