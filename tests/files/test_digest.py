"""Digests of files."""

from pathlib import Path

import pytest

from membrane.files.digest import sha256


def test_sha256_is_that_of_the_standard(tmp_path: Path) -> None:
    path = tmp_path / "file"
    # FIPS 180-2, appendices B.1 and B.3
    for content, digest in (
        (b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (b"a" * 1_000_000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
    ):
        path.write_bytes(content)
        assert sha256(path) == digest
    with pytest.raises(FileNotFoundError):
        sha256(tmp_path / "gone")
