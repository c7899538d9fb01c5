"""Archives, unpacked without leaving their folder, and only if they are no bombs."""

import fcntl
import logging
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from membrane.data.store.archives import CHUNK, DAMAGE, Allowance, Member, UnsafeMember, archive_members, safe_parts
from membrane.errors import DataError, one_line

log = logging.getLogger(__name__)


def unpack(archive: Path, folder: Path, forms: Sequence[str] = ()) -> None:
    """Unpack a zip or a tar, plain or gzip, to ``folder``, which takes its name when it is whole.

    Where the archive holds a folder of that name, that one becomes it. Raises DataError, which names file and member,
    for what is damaged, leads out of the folder, is no plain file, or is too much, and if it holds none of ``forms``,
    paths in the folder; then nothing is left of it.
    """
    try:
        with unpacked_once(archive, folder) as beside:
            if beside is None:
                return
            log.info("unpacking %s to %s", archive, folder)
            allowance = Allowance(archive.stat().st_size, shutil.disk_usage(beside).free)
            for member in archive_members(archive, allowance):
                write_member(beside, member)
            inner = beside / folder.name
            whole = inner if inner.is_dir() else beside
            if forms and not any((whole / form).exists() for form in forms):
                raise ValueError(f"holds no {' or '.join(forms)}")
            whole.chmod(0o755)  # data are shared, temporary folders are not
            whole.rename(folder)
    except DAMAGE as error:
        raise DataError(f"{archive}: {one_line(error)}; nothing was unpacked") from error


@contextmanager
def unpacked_once(archive: Path, folder: Path) -> Iterator[Path | None]:
    """Yield a temporary folder beside ``folder``, removed at the end; None once another process has made that."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with archive.open("rb") as file:
        with suppress(OSError):  # on a file system without locks both unpack, and one comes first
            fcntl.flock(file, fcntl.LOCK_EX)
        if folder.is_dir():
            yield None
            return
        beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            yield beside
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def write_member(folder: Path, member: Member) -> None:
    """Write one member below a folder. Raises UnsafeMember if it has another size than declared, or is there twice."""
    path = folder.joinpath(*safe_parts(member.name))
    try:
        if member.read is None:
            path.mkdir(parents=True, exist_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        written = 0
        with member.read() as source, path.open("xb") as target:
            while written <= member.size and (chunk := source.read(CHUNK)):
                written += target.write(chunk)
    except FileExistsError:
        raise UnsafeMember(member.name, "is there twice") from None
    except DAMAGE as error:
        raise UnsafeMember(member.name, one_line(error)) from error
    if written != member.size:
        raise UnsafeMember(member.name, f"has another size than the {member.size} bytes that are declared")
