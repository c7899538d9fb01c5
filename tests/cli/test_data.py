"""`membrane data`: the list, fetching, checking and removing, in one line each and with the right exit code."""

import hashlib
import io
import json
import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from commands import data
from mirrors import served

from membrane.cli import data as command
from membrane.cli.data_list import data_rows, state_text
from membrane.data.nmnist import NMNIST
from membrane.data.origins import ORIGINS, SourceFile
from membrane.data.store import location
from membrane.errors import DataError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty ``paths.data``."""
    monkeypatch.setattr(location, "own_cache", lambda: tmp_path / "own")
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.fixture
def subset(root: Path) -> Path:
    """The same with a recording for each part of nmnist_subset."""
    (root / "nmnist_subset").mkdir()
    for table, number in (("train1K.txt", 1), ("test100.txt", 2)):
        (root / "nmnist_subset" / table).write_text(f"#sample class\n{number} 7\n")
        event = bytes([3, 4, 0x80, 0, number])
        (root / "nmnist_subset" / f"{number}.bs2").write_bytes(event * 9)
    return root


def told(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """(exit code, what is printed, what is printed on standard error)."""
    code = data(words)
    out, err = capsys.readouterr()
    return code, out, err


def test_the_page_on_data_sets_is_what_the_program_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert data(["--markdown"]) == 0
    page = ROOT / "docs" / "data.md"
    assert page.read_text() == capsys.readouterr().out, "write it anew: membrane data --markdown > docs/data.md"


def test_every_data_set_is_listed_with_its_state(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mnist = ORIGINS["mnist"]
    for file in mnist.files[:3]:
        (root / "mnist").mkdir(exist_ok=True)
        (root / "mnist" / file.name).touch()
    code, out, _ = told(capsys, f"paths.data={root}")
    assert code == 0
    heads = [line.split()[0] for line in out.splitlines() if line and not line.startswith(" ")]
    assert heads == [*(row["name"] for row in data_rows(root)), "paths.data"]
    assert set(heads[:-1]) == set(ORIGINS)
    assert f"mnist            11.6 MB  to download; {mnist.licence}\n    70,000 handwritten digits" in out
    assert "ncars             290 MB  by hand: n-cars_train.zip, n-cars_test.zip; " in out
    (root / "mnist" / mnist.files[3].name).touch()
    assert f"mnist            11.6 MB  here; {mnist.licence}\n" in told(capsys, f"paths.data={root}")[1]


def test_a_download_that_was_broken_off_is_listed(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "cifar10").mkdir()
    (root / "cifar10" / "cifar-10-python.tar.gz.part").write_bytes(bytes(12_300))
    assert "cifar10           170 MB  to download, 12.3 kB of it begun; " in told(capsys, f"paths.data={root}")[1]


def test_the_list_for_programs(subset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = told(capsys, "--json", f"paths.data={subset}")
    rows = {row["name"]: row for row in json.loads(out)}
    assert code == 0
    assert set(rows) == set(ORIGINS)
    assert rows["nmnist_subset"] == {
        "name": "nmnist_subset",
        "what": "The first 1,100 recordings of N-MNIST: event data that train in minutes.",
        "bytes": 22_638_824,
        "licence": "CC BY-SA 4.0",
        "page": "https://github.com/bamsumit/slayerPytorch",
        "obtained": "by hand",
        "folder": str(subset / "nmnist_subset"),
        "present": True,
        "missing": [],
        "begun_bytes": 0,
        "cached_bytes": 0,
    }
    assert rows["uci_har"]["missing"] == ["UCI HAR Dataset.zip"]
    assert (rows["digits"]["obtained"], rows["digits"]["folder"], rows["digits"]["present"]) == ("bundled", None, True)
    assert state_text(rows["digits"]) == "bundled"


def test_fetching_caches_under_the_settings_that_are_named(subset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = told(capsys, "nmnist_subset", "digits", f"paths.data={subset}")
    assert code == 0
    entries = list((subset / ".cache" / "nmnist_subset").glob("*/manifest.json"))
    assert len(entries) == 1
    size = sum(path.stat().st_size for path in entries[0].parent.iterdir())
    lines = [line for line in out.splitlines() if not line.startswith("cache: ")]
    assert lines == [
        f"nmnist_subset: 1 + 1 samples, {size / 1e3:.3g} kB cached",
        "digits: 1437 + 360 samples, read as they are, nothing to cache",
    ]
    assert told(capsys, "nmnist_subset", "timesteps=3", f"paths.data={subset}")[0] == 0
    [shape] = {
        tuple(json.loads(path.read_text())["parts"]["train"]["columns"]["x"]["shape"])
        for path in (subset / ".cache" / "nmnist_subset").glob("*/manifest.json")
        if path not in entries
    }
    assert shape == (1, 3, 2, 34, 34)
    assert f"{size / 1e3:.3g} kB cached" not in told(capsys, f"paths.data={subset}")[1]  # but both together
    assert "kB cached; CC BY-SA 4.0" in told(capsys, f"paths.data={subset}")[1]


def test_a_data_set_that_is_not_to_be_had_is_one_line_and_the_others_are_fetched(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = told(capsys, "ncars", "digits", f"paths.data={root}")
    assert code == 1
    assert err.count("\n") == 1
    assert err.startswith(
        f"membrane: ncars: {root}/ncars/n-cars_train.zip: missing; put the original n-cars_train.zip, "
    )
    assert out.startswith("digits: 1437 + 360 samples")


def test_what_is_missing_is_downloaded_noted_and_compared_from_then_on(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(NMNIST, "counts", {"Train": 1, "Test": 1})
    with served(monkeypatch) as mirrors:
        files = []
        for part in ("Train", "Test"):
            content = io.BytesIO()
            with zipfile.ZipFile(content, "w") as archive:
                archive.writestr(f"{part}/3/1.bin", bytes([3, 4, 0x80, 0, 1]))
            mirrors.files[f"/good/{part}.zip"] = content.getvalue()
            files.append(SourceFile(f"{part}.zip", urls=(f"{mirrors['good']}{part}.zip",)))
        monkeypatch.setitem(ORIGINS, "nmnist", replace(ORIGINS["nmnist"], files=tuple(files)))
        code, out, err = told(capsys, "nmnist", "timesteps=2", f"paths.data={root}")
        assert mirrors.paths == ["/good/Train.zip", "/good/Test.zip"]
    assert (code, err) == (0, "")
    digest = hashlib.sha256((root / "nmnist" / "Train.zip").read_bytes()).hexdigest()
    assert out.startswith(f"{root}/nmnist/Train.zip: no digest is published; its sha256 is {digest}, kept in ")
    assert out.splitlines()[-1].startswith("nmnist: 1 + 1 samples, ")
    words = ("--verify", "nmnist", f"paths.data={root}")
    assert told(capsys, *words)[1].startswith(f"{root}/nmnist/Train.zip: right (")
    (root / "nmnist" / "Train.zip").write_bytes((root / "nmnist" / "Test.zip").read_bytes())
    code, _, err = told(capsys, *words)
    assert code == 1
    assert err.startswith(f"membrane: {root}/nmnist/Train.zip: sha256 is ")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["mnits"], "mnits: no such data set; did you mean mnist? see membrane data"),
        (["arrays"], "arrays: your own data, which are nowhere to be fetched from; see membrane data"),
        (["dataset=mnist"], "dataset=mnist: write membrane data mnist"),
        (["digits", "nosuch=3"], "digits: nosuch: no such setting; valid: "),
        (["digits", "timesteps=-1"], "digits: timesteps: "),
        (["--clean", "pip"], "pip: no such data set; see membrane data"),
        (["--clean", "--json"], "argument --json: not allowed with argument --clean; see membrane data --help"),
    ],
    ids=str,
)
def test_a_mistake_is_answered_in_one_line(
    words: list[str], line: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = told(capsys, *words, f"paths.data={root}")
    assert (code, out) == (2, "")
    assert err.startswith(f"membrane: {line}")
    assert err.count("\n") == 1


def test_originals_and_caches_are_compared_with_their_digests(subset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--verify", f"paths.data={subset}")
    assert told(capsys, *words)[1].startswith(f"nothing to compare in {subset}: ")
    assert told(capsys, "nmnist_subset", f"paths.data={subset}")[0] == 0
    [entry] = [path for path in (subset / ".cache" / "nmnist_subset").iterdir() if path.is_dir()]
    code, out, err = told(capsys, *words)
    assert (code, err) == (0, "")
    assert out.startswith(f"{entry}: right (")
    file = ORIGINS["nmnist"].file("Test.zip")
    (subset / "nmnist").mkdir()
    (subset / "nmnist" / file.name).write_bytes(b"PK")
    content = bytearray((entry / "test.x").read_bytes())
    content[0] ^= 1
    (entry / "test.x").write_bytes(content)
    code, out, err = told(capsys, *words)
    assert (code, out) == (1, "")
    original, cached = err.splitlines()
    remedy = "(2 bytes); delete it, and the original is downloaded"
    assert original.startswith(f"membrane: {subset}/nmnist/Test.zip: md5 is {hashlib.md5(b'PK').hexdigest()}, ")
    assert original.endswith(f"the original's is {(file.digest or '').removeprefix('md5:')} {remedy}")
    remedy = "membrane data --clean nmnist_subset removes it"
    assert cached == f"membrane: {entry}: the test part is not what was written; {remedy}"
    (entry / "test.x").write_bytes(b"")
    assert "cannot be read (test.x has 0 bytes, not " in told(capsys, *words, "nmnist_subset")[2]


def test_caches_are_removed_and_the_originals_stay(subset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, "--clean", f"paths.data={subset}")[:2] == (0, "nothing was cached\n")
    originals = sorted(path for path in subset.rglob("*") if path.is_file())
    told(capsys, "nmnist_subset", f"paths.data={subset}")
    there = sum(path.stat().st_size for path in (subset / ".cache").rglob("*") if path.is_file())
    code, out, _ = told(capsys, "--clean", "nmnist_subset", f"paths.data={subset}")
    assert (code, out) == (0, f"{there} bytes ({there / 1e3:.3g} kB) freed\n")
    assert sorted(path for path in subset.rglob("*") if path.is_file()) == originals


@pytest.mark.parametrize("words", [("--clean", "nmnist_subset"), ("--verify",), ("--json",), ()])
def test_a_setting_that_would_change_nothing_is_refused(
    words: tuple[str, ...], subset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told(capsys, "nmnist_subset", f"paths.data={subset}")
    before = sorted(subset.rglob("*"))
    code, out, err = told(capsys, *words, "timesteps=3", f"paths.data={subset}")
    assert (code, out, sorted(subset.rglob("*"))) == (2, "", before)
    line = "timesteps=3: settings are for fetching, membrane data NAME timesteps=3; else paths.data=DIR alone"
    assert err == f"membrane: {line}\n"


def test_an_interruption_ends_it_all(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(config: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "load_set", interrupt)
    assert data(["digits", "mnist", f"paths.data={root}"]) == 130


def test_an_error_of_the_data_has_the_exit_code_of_a_run(root: Path, monkeypatch, capsys) -> None:
    def damaged(config: object) -> str:
        raise DataError("a: byte 3 is wrong")

    monkeypatch.setattr(command, "load_set", damaged)
    assert told(capsys, "digits", f"paths.data={root}") == (1, "", "membrane: digits: a: byte 3 is wrong\n")


def test_the_list_needs_no_torch(root: Path) -> None:
    program = (
        "import sys; from membrane.cli.main import main\n"
        f"codes = [main(['data', *words, 'paths.data={root}']) for words in ([], ['--json'], ['--clean'])]\n"
        "sys.exit(any(codes) or 'torch' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, "-c", program], env=environment, check=False, capture_output=True)
    assert done.returncode == 0, done.stderr


def test_a_set_is_loaded_where_nothing_can_be_cached(subset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (subset / ".cache").write_text("in the way")
    (subset.parent / "own").write_text("in the way")
    code, out, _ = told(capsys, "nmnist_subset", f"paths.data={subset}")
    assert (code, out.splitlines()[-1]) == (
        0,
        "nmnist_subset: 1 + 1 samples, not cached: no folder for it can be written",
    )
