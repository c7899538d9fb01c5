"""What torch would not have written is refused by the archive's directory, before any member is read."""

import copy
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from membrane.errors import DataError
from membrane.training import checkpoint_archive
from membrane.training.checkpoints import read_checkpoint

pytestmark = pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    content = {"membrane": {}, "state_dict": {"weight": torch.zeros(100_000)}}
    torch.save(content, tmp_path / "whole.ckpt")
    read_checkpoint(tmp_path / "whole.ckpt")
    return tmp_path / "whole.ckpt"


def rewrite(path: Path, compression: int = zipfile.ZIP_STORED, **more: bytes) -> None:
    """Write a checkpoint's members, and more of them, into a new archive in its place."""
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in [*members.items(), *more.items()]:
            archive.writestr(name, content)


def compress(path: Path) -> None:
    rewrite(path, zipfile.ZIP_DEFLATED)


def compress_by_lzma(path: Path) -> None:
    rewrite(path, zipfile.ZIP_LZMA)


def say_other_structure_too(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        [name] = [name for name in archive.namelist() if name.endswith("data.pkl")]
    rewrite(path, **{name: b"other"})


def pickle_much(path: Path) -> None:
    rewrite(path, **{"whole/other.pkl": bytes(2**24 + 1)})


def list_a_member_twice(path: Path) -> None:
    """Members of other names at the same place: each is read in full."""
    with zipfile.ZipFile(path, "a") as archive:
        [values] = [info for info in archive.infolist() if info.filename.endswith("data/0")]
        archive.filelist += [copy.copy(values) for _ in range(50)]
        for number, info in enumerate(archive.filelist[-50:]):
            info.filename = f"{info.filename}{number}"
        archive.writestr("whole/last", b"")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


def save_in_the_old_form(path: Path) -> None:
    torch.save({"membrane": {}, "state_dict": {}}, path, _use_new_zipfile_serialization=False)


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (compress, r"unpacks from \d+ to \d+ bytes; members of checkpoints are not compressed"),
        (compress_by_lzma, "members of checkpoints are not compressed"),
        (say_other_structure_too, "two members have the same name"),
        (pickle_much, "other.pkl has 16777217 bytes, 16777216 at most"),
        (list_a_member_twice, r"its members have \d{8} bytes, more than the file, which has \d{6}"),
        (cut, "no whole zip"),
        (save_in_the_old_form, "no whole zip"),
        (lambda path: path.write_bytes(b""), "no whole zip"),
    ],
)
def test_other_archives_are_refused_before_they_are_read(
    damage: Callable[[Path], Any], line: str, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damage(whole)
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *arguments: pytest.fail("a member is read"))
    monkeypatch.setattr(torch, "load", lambda *arguments, **options: pytest.fail("torch reads it"))
    with pytest.raises(DataError, match=rf"^{whole}: .*{line}") as refusal:
        read_checkpoint(whole)
    assert str(refusal.value).isprintable()


def test_a_long_directory_is_not_read(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint_archive, "LISTING", 100)
    monkeypatch.setattr(zipfile, "ZipFile", lambda *arguments: pytest.fail("the directory is read"))
    with pytest.raises(DataError, match=r"its list of members has \d+ bytes, 100 at most"):
        read_checkpoint(whole)


def test_a_large_optimiser_is_far_from_the_limits(tmp_path: Path) -> None:
    """2,000 tensors with Adam's three more of each: members as many, and a structure of some hundred bytes each."""
    parameters = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2000)]
    optimizer = torch.optim.Adam(parameters)
    sum(parameters).backward()
    optimizer.step()
    path = tmp_path / "large.ckpt"
    state = {f"layers.{number}.weight": each.detach() for number, each in enumerate(parameters)}
    torch.save({"membrane": {}, "state_dict": state, "optimizer_states": [optimizer.state_dict()]}, path)
    with zipfile.ZipFile(path) as archive:
        [structure] = [info for info in archive.infolist() if info.filename.endswith(".pkl")]
    assert structure.file_size * 10 < checkpoint_archive.PICKLE
    assert checkpoint_archive.listing_bytes(path) * 8 < checkpoint_archive.LISTING
    read_checkpoint(path)
