"""Where data sets come from: complete, well formed, and as the libraries and the files here know it."""

import re
from dataclasses import replace
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from omegaconf import OmegaConf
from real_data import real_data

from membrane.data.origins import ORIGINS, Origin, SourceFile
from membrane.errors import DataError
from membrane.files.digest import file_digest

CONF = Path(__file__).parents[3] / "conf" / "dataset"
FETCHED = [origin for origin in ORIGINS.values() if not origin.bundled]
PUBLISHED = [pytest.param(origin, file, id=f"{origin.name}:{file.name}") for origin in FETCHED for file in origin.files]


def test_every_data_set_that_can_be_chosen_has_one_entry() -> None:
    choices = {path.stem for path in CONF.glob("*.yaml")} - {"arrays"}  # a person's own data
    assert set(ORIGINS) == choices, "add an entry to membrane.data.origins, see its docstring"
    assert [name for name, origin in ORIGINS.items() if origin.name != name] == []


@pytest.mark.parametrize("origin", ORIGINS.values(), ids=ORIGINS)
def test_terms_page_and_size_are_stated(origin: Origin) -> None:
    assert origin.licence
    assert "|" not in origin.licence
    assert re.fullmatch(r"https?://[^\s|]+", origin.page)
    assert (origin.size == 0) == origin.bundled
    assert len({file.name for file in origin.files}) == len(origin.files)


@pytest.mark.parametrize("origin", FETCHED, ids=lambda origin: origin.name)
def test_files_are_well_formed(origin: Origin) -> None:
    for file in origin.files:
        assert file.digest is None or re.fullmatch(r"md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}", file.digest)
        assert all(re.fullmatch(r"https?://\S+", url) for url in file.urls)
        for path in origin.paths(file):
            assert not PurePosixPath(path).is_absolute()
            assert ".." not in PurePosixPath(path).parts


THEIRS = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST"}


@pytest.mark.parametrize("name", THEIRS)
def test_digests_and_mirrors_are_those_that_torchvision_knows(name: str) -> None:
    theirs = getattr(import_module("torchvision.datasets"), THEIRS[name])
    ours = [(file.name, (file.digest or "").removeprefix("md5:")) for file in ORIGINS[name].files]
    assert ours == theirs.resources
    assert [file.urls[0] for file in ORIGINS[name].files] == [
        theirs.mirrors[0] + file.name for file in ORIGINS[name].files
    ]


def test_the_original_files_have_these_digests() -> None:
    root = real_data("mnist")
    every = [(root / origin.name / file.name, file.digest) for origin in FETCHED for file in origin.files]
    digests = {path: digest for path, digest in every if digest is not None and path.is_file()}
    assert digests
    for path, digest in digests.items():
        algorithm, _, expected = digest.partition(":")
        assert file_digest(path, algorithm) == expected


@pytest.mark.parametrize("name", THEIRS)
def test_the_size_is_that_of_the_original_files(name: str) -> None:
    root = real_data(name) / name
    assert sum((root / file.name).stat().st_size for file in ORIGINS[name].files) == ORIGINS[name].size


# What is said where a file is missing or damaged

ARCHIVE = SourceFile("a.zip", urls=("https://x/a.zip",), unpacked="a")
FILES = (ARCHIVE, SourceFile("b.bin"), SourceFile("c.bin", optional=True))
SET = Origin(name="set", licence="MIT", page="https://page", size=1, files=FILES, folders=("Theirs", ""))


def test_the_paths_of_a_file_begin_with_that_of_its_download() -> None:
    paths = ["set/a.zip", "set/a/", "Theirs/a.zip", "Theirs/a/", "a.zip", "a/"]
    assert list(SET.paths(SET.file("a.zip"))) == paths
    inside = SourceFile("a.zip", unpacked="a", forms=("x/", "y"))
    contents = ["set/x/", "set/y", "set/a/x/", "set/a/y", "x/", "y", "a/x/", "a/y"]
    assert list(replace(SET, folders=("",)).contents(inside)) == contents


def test_a_file_is_there_in_any_of_its_forms(tmp_path: Path) -> None:
    assert SET.missing(tmp_path) == ["a.zip", "b.bin"]
    (tmp_path / "Theirs" / "a").mkdir(parents=True)
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "b.bin").touch()
    assert SET.missing(tmp_path) == []
    (tmp_path / "Theirs" / "a").rmdir()
    (tmp_path / "set" / "a").mkdir()
    assert SET.missing(tmp_path) == []
    (tmp_path / "set" / "a").rmdir()
    (tmp_path / "set" / "a").touch()  # a file in the place of a folder
    (tmp_path / "set" / "b.bin").unlink()
    (tmp_path / "set" / "b.bin").mkdir()
    assert SET.missing(tmp_path) == ["a.zip", "b.bin"]


# Where the loaders look: nowhere else than `membrane data` does


def loader(name: str, file: SourceFile) -> Any:
    """The data set, under the settings that need a file."""
    module, _, class_name = str(OmegaConf.load(CONF / f"{name}.yaml")["_target_"]).rpartition(".")
    settings = {"version": 1, "classes": 30} if file.name == "speech_commands_v0.01.tar.gz" else {}
    return getattr(import_module(module), class_name)(**settings)


def put(root: Path, path: str) -> None:
    """An empty file, or a folder if the path ends in a slash."""
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).mkdir() if path.endswith("/") else (root / path).touch()


def refusal(name: str, file: SourceFile, root: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a loader says, which cannot download anything."""
    monkeypatch.setattr("membrane.data.store.sources.download", lambda path, *others: "no network")
    with pytest.raises(DataError) as refused:
        loader(name, file).load(root, 4)
    return str(refused.value)


@pytest.mark.parametrize(("origin", "file"), PUBLISHED)
def test_what_counts_as_there_is_what_the_loader_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, origin: Origin, file: SourceFile
) -> None:
    """Everything is there, one file in one of its forms and the others where they are downloaded to, but empty."""
    for number, path in enumerate(origin.paths(file)):
        root = tmp_path / str(number)
        put(root, path)
        for other in origin.files:
            if other is not file:
                put(root, next(origin.paths(other)))
        assert origin.missing(root) == [], path
        line = refusal(origin.name, file, root, monkeypatch)
        assert "no network" not in line, path
        assert "or set paths.data to the folder above" not in line, path
        if len(origin.files) == 1 or file.optional:
            assert str(root / path.rpartition("/")[0]) in line


@pytest.mark.parametrize("origin", FETCHED, ids=lambda origin: origin.name)
def test_an_empty_folder_has_nothing_for_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, origin: Origin
) -> None:
    needed = [file for file in origin.files if not file.optional]
    assert origin.missing(tmp_path) == [file.name for file in needed]
    line = refusal(origin.name, needed[0], tmp_path, monkeypatch)
    assert "or set paths.data to the folder above" in line
    assert needed[0].name in line


def test_what_helps_depends_on_what_can_be_downloaded() -> None:
    downloaded, unpacked = "delete it, and the original is downloaded", "delete set/a, and the original is downloaded"
    by_hand = "replace it by the original, from https://page"
    remedies = {"set/a.zip": downloaded, "Theirs/a": downloaded, "set/a/1.txt": f"{unpacked} and unpacked"}
    remedies |= {"set/b.bin": by_hand, "set/c": by_hand, "Theirs/a/1.txt": by_hand}
    assert {path: SET.remedy(Path("data") / path) for path in remedies} == remedies
    for missing, put in (("a.zip", "a.zip, b.bin"), ("c.bin", "c.bin")):
        line = f"put the original {put} from https://page into data/set, or set paths.data to the folder above its own"
        assert SET.advice(Path("data"), missing) == line
    own = Origin(name="set", licence="MIT", page="https://page", by_hand="ask", files=SET.files)
    assert own.advice(Path("data"), "a.zip") == "ask, or set paths.data to the folder above its own"
    assert SET.missing(Path("nowhere")) == ["a.zip", "b.bin"]
    assert (SET.downloaded, SET.bundled, Origin(name="x", licence="", page="").bundled) == (False, False, True)
