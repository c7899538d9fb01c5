"""Files that are opened only if they are regular ones."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from membrane.files import durable
from membrane.files.lock import hold_lock
from membrane.files.regular import Irregular, irregular, open_folder, open_regular


def link(path: Path) -> None:
    path.with_name("victim").write_bytes(b"precious")
    path.symlink_to("victim")


def dangling(path: Path) -> None:
    path.symlink_to("nowhere")


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def pipe(path: Path) -> None:
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.mkdir()


def bound_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # the path of a socket may not be long
    try:
        with socket.socket(socket.AF_UNIX) as unix:
            unix.bind(path.name)
    finally:
        os.chdir(here)


def try_to_open(path: Path, mode: str = "r") -> None:
    with open(path, mode, opener=open_regular):
        pass


@pytest.mark.parametrize("mode", ["rb", "wb", "ab", "xb", "r+b"])
@pytest.mark.parametrize(
    ("put", "what"),
    [
        (link, "a link"),
        (dangling, "a link"),
        (device, "a link"),
        (pipe, "a pipe"),
        (folder, "a folder"),
        (bound_socket, "a socket"),
    ],
)
def test_nothing_but_a_regular_file_is_opened(
    tmp_path: Path, put: Callable[[Path], None], what: str, mode: str
) -> None:
    put(tmp_path / "file")
    with pytest.raises(Irregular, match=what):
        try_to_open(tmp_path / "file", mode)
    assert not (tmp_path / "nowhere").exists()
    if put is link:
        assert (tmp_path / "victim").read_bytes() == b"precious"


def test_a_device_is_no_file() -> None:
    with pytest.raises(Irregular, match="a device"):
        os.close(open_regular("/dev/null"))


def test_a_regular_file_is_opened_as_ever(tmp_path: Path) -> None:
    for mode, content in (("x", b"1"), ("a", b"12"), ("w", b"2")):
        with open(tmp_path / "file", mode, opener=open_regular) as file:
            assert os.get_blocking(file.fileno())
            file.write(content[-1:].decode())
        assert (tmp_path / "file").read_bytes() == content
    with pytest.raises(FileExistsError):
        try_to_open(tmp_path / "file", "x")
    with pytest.raises(FileNotFoundError):
        try_to_open(tmp_path / "nothing")


def test_a_file_with_another_name_is_read_but_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    (tmp_path / "file").hardlink_to(tmp_path / "victim")
    with open(tmp_path / "file", "rb", opener=open_regular) as file:
        assert file.read() == b"precious"
    for mode in ("ab", "wb", "r+b"):
        with pytest.raises(Irregular, match="hard link"):
            try_to_open(tmp_path / "file", mode)
    assert (tmp_path / "victim").read_bytes() == b"precious"


def test_a_folder_is_opened_by_its_own_name_only(tmp_path: Path) -> None:
    (tmp_path / "real" / "inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    os.close(open_folder(tmp_path / "link" / "inner"))
    with pytest.raises(Irregular, match="a link"):
        open_folder(tmp_path / "link")
    assert irregular(tmp_path / "nothing") is None


def test_no_file_is_written_into_a_linked_folder_or_through_a_name_that_lies_there(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(Irregular):
        durable.write_json(tmp_path / "link" / "a.json", {})
    assert list((tmp_path / "real").iterdir()) == []
    for name in (".a.json.tmp", "a.json"):  # the name that earlier versions wrote into first, and the last one
        (tmp_path / "real" / name).symlink_to(tmp_path / "victim")
    durable.write_json(tmp_path / "real" / "a.json", {})
    assert (tmp_path / "real" / "a.json").read_text() == "{}\n"
    assert not (tmp_path / "real" / "a.json").is_symlink()
    assert (tmp_path / "victim").read_bytes() == b"precious"
    durable.write_json(durable.in_real_folder(tmp_path / "link" / "b.json"), {})
    assert (tmp_path / "real" / "b.json").exists()


def test_a_lock_that_is_a_link_is_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    (tmp_path / "lock").symlink_to("victim")
    with pytest.raises(Irregular, match="a link"), hold_lock(tmp_path / "lock", "it"):
        pass
    assert (tmp_path / "victim").read_bytes() == b"precious"
