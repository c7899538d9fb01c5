"""The files that set membrane up agree with each other, and the Makefile installs once, completely or not at all."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from cases import check_each
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import membrane

ROOT = Path(__file__).parents[1]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
DIRECT: list[str] = PYPROJECT["project"]["dependencies"] + PYPROJECT["project"]["optional-dependencies"]["dev"]
# Written in halves: this file is searched too.
FOREIGN = ["/" + "work/", "/" + "root/", "/" + "home/", "pypi" + ".org", "files." + "pythonhosted"]
# Stands in for Python: notes what pip is asked for instead of doing it.
PYTHON = """#!/bin/sh
case "$1 $2" in
  "-c "*) exit "${UNSUPPORTED:-0}" ;;
  "-m venv") rm -rf .venv; mkdir -p .venv/bin; cp "$0" .venv/bin/python ;;
  "-m pip") echo "$@" >> pip.log; case "$*" in *"${FAIL:-nothing}"*) exit 1 ;; esac ;;
esac
"""
PYTEST = """#!/bin/sh
if [ "$1" = test-all ]; then
  echo "SKIPPED [5] tests/data/test_mnist.py:52: no data: mnist is not in paths.data"
  echo "======= 30 passed, 5 skipped, 9 deselected in 8.50s ======="
  exit "${REST:-0}"
fi
echo "MEMBRANE_DATA=$MEMBRANE_DATA CI=$CI"
test -z "$BROKEN" || exit 2
echo "SKIPPED [2] tests/data/test_mnist.py:12: no data: mnist is not in paths.data"
echo "SKIPPED [1] tests/data/test_mnist.py:40: no data: fashion_mnist is not in paths.data"
echo "SKIPPED [4] tests/test_setup.py:9: no make"
echo "======= 1 failed, 12 passed, 7 skipped, 3 deselected in 61.20s (0:01:01) ======="
test "${FIRST:-0}" = 0 || echo "make: *** [test] Error 1"
exit "${FIRST:-0}"
"""


def locked() -> dict[str, tuple[str, int]]:
    """Name → version and number of hashes, for every package of the lock."""
    blocks = re.findall(r"^(\S+?)==([^\s;]+)[^\n]*\n((?:    --hash=sha256:\w{64}[^\n]*\n)*)", lock_text(), re.MULTILINE)
    return {canonicalize_name(name): (version, hashes.count("--hash")) for name, version, hashes in blocks}


def lock_text() -> str:
    return (ROOT / "requirements.lock").read_text()


def clean_environment(**extra: str) -> dict[str, str]:
    """This process's environment without what an outer make or the person's own settings would pass on."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS", "MEMBRANE_"))}
    return {**kept, "LC_ALL": "C", **extra}


def call(*command: str | Path, folder: Path, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder; its exit status is the caller's to judge."""
    environment = clean_environment(**extra)
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_conda_environment_repeats_every_dependency_and_pin() -> None:
    entries = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    assert [entry for entry in entries if isinstance(entry, dict)] == [{"pip": DIRECT}]
    (python,) = (entry for entry in entries if isinstance(entry, str) and entry.startswith("python="))
    minor = Requirement(f"python{PYPROJECT['project']['requires-python']}").specifier
    assert python.removeprefix("python=") in minor


def test_lock_holds_an_admitted_version_with_hashes() -> None:
    packages = locked()

    def check_line(line: str) -> None:
        requirement = Requirement(line)
        version, hashes = packages[canonicalize_name(requirement.name)]
        assert version in requirement.specifier
        assert hashes > 0

    check_each(DIRECT, check_line)


def test_every_package_of_the_lock_has_a_hash() -> None:
    named = re.findall(r"^[^\s#]+", lock_text(), re.MULTILINE)
    assert len(named) == len(locked()) > len(DIRECT)
    assert [name for name, (_, hashes) in locked().items() if hashes == 0] == []


def test_build_backend_is_in_the_lock() -> None:
    for line in PYPROJECT["build-system"]["requires"]:
        assert line in DIRECT


@pytest.mark.parametrize("version", ["2.6.2", "2.6.3"])
def test_malicious_lightning_is_excluded(version: str) -> None:
    (lightning,) = (Requirement(line) for line in DIRECT if Requirement(line).name == "lightning")
    assert version not in lightning.specifier
    assert version not in (locked()["lightning"][0], locked()["pytorch-lightning"][0])


def test_one_version_everywhere() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {citation["version"], PYPROJECT["project"]["version"]} == {membrane.__version__}
    assert f"## [{membrane.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("entry", PYPROJECT["project"]["scripts"].values())
def test_installed_commands_exist(entry: str) -> None:
    module, name = entry.split(":")
    assert callable(getattr(import_module(module), name))


def test_no_file_knows_a_machine_or_an_index() -> None:
    listed = call("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", folder=ROOT)
    if listed.returncode:
        pytest.skip("not a git repository")
    found = []
    for name in filter(None, listed.stdout.split("\0")):
        content = (ROOT / name).read_bytes() if (ROOT / name).is_file() else b"\0"
        if b"\0" not in content:
            found += [(name, word) for word in FOREIGN if word.encode() in content]
    assert found == []


def test_wheel_carries_the_package_and_its_configuration(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "README.md").write_text("# membrane\n")
    for name in ("pyproject.toml", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, copy)
    for name in ("src", "conf"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "conf" / "local").mkdir(exist_ok=True)
    (copy / "conf" / "local" / "default.yaml").write_text("trust: [mine.Alone]\n")
    built = call(sys.executable, "-m", "hatchling", "build", "-t", "wheel", folder=copy)
    assert built.returncode == 0, built.stderr
    (wheel,) = (copy / "dist").glob("*.whl")
    assert wheel.name.startswith("membrane_snn-")  # `membrane` on the package index is another project
    packed = set(zipfile.ZipFile(wheel).namelist())
    package = ROOT / "src" / "membrane"
    sources = [path for path in package.rglob("*.[cp]*") if path.suffix in (".py", ".c")]
    sources += (package / "report" / "page").iterdir()
    wanted = {f"membrane/{path.relative_to(package)}" for path in sources}
    wanted.add("membrane/py.typed")
    wanted |= {str(path.relative_to(ROOT / "src")) for path in (ROOT / "src" / "hydra_plugins").rglob("*.py")}
    yamls = {path.relative_to(ROOT) for path in (ROOT / "conf").rglob("*.yaml")}
    wanted |= {f"membrane/{path}" for path in yamls if path.parts[1] != "local"}
    assert {name for name in packed if ".dist-info/" not in name} == wanted


LOCK = """\
scipy==1
    # via torch
setuptools==81.0.0 \\
    --hash=sha256:0
    # via
    #   torch
setuptools-scm==10 \\
    --hash=sha256:0
    # via membrane
torch==1
"""


class Project:
    """A folder with the Makefile, a stand-in for Python, and files small enough to edit."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copy(ROOT / "Makefile", folder)
        self.write("requirements.lock", LOCK)
        self.write("pyproject.toml", "[project]\n")
        self.write("python", PYTHON).chmod(0o755)

    def write(self, name: str, text: str) -> Path:
        (self.folder / name).write_text(text)
        return self.folder / name

    def make(self, target: str = "setup", **extra: str) -> subprocess.CompletedProcess[str]:
        return call("make", target, folder=self.folder, PYTHON=str(self.folder / "python"), **extra)

    def installs(self, **extra: str) -> list[str]:
        """What `make setup` installs now: the last word of each call of pip."""
        (self.folder / "pip.log").unlink(missing_ok=True)
        self.make(**extra)
        log = self.folder / "pip.log"
        return [line.split()[-1] for line in log.read_text().splitlines()] if log.exists() else []


WHOLE = [".venv/builders.lock", "requirements.lock", "."]
needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="no make")


@needs_make
def test_set_up_installs_once_and_again_where_stale(tmp_path: Path) -> None:
    project = Project(tmp_path)
    assert project.installs() == WHOLE
    builders = (tmp_path / ".venv" / "builders.lock").read_text()
    assert re.findall("^(.*)==", builders, re.MULTILINE) == ["setuptools", "setuptools-scm"]
    assert project.installs() == []
    os.utime(tmp_path / "requirements.lock")  # newer, but the same
    assert project.installs() == []
    project.write("pyproject.toml", '[project]\nname = "other"\n')
    assert project.installs() == ["."]
    project.write("requirements.lock", (tmp_path / "requirements.lock").read_text() + "tqdm==4\n")
    assert project.installs() == WHOLE
    assert project.installs() == []
    (tmp_path / ".venv" / "bin" / "python").unlink()
    assert project.installs() == WHOLE


@needs_make
def test_set_up_checks_hashes_and_builds_only_with_them(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.make()
    builders, lock, package = (tmp_path / "pip.log").read_text().splitlines()
    assert "--require-hashes" in builders
    assert "--require-hashes" in lock
    assert all("--no-deps --no-build-isolation" in line for line in (builders, lock, package))


@needs_make
@pytest.mark.parametrize("culprit", WHOLE)
def test_set_up_that_failed_starts_again(tmp_path: Path, culprit: str) -> None:
    project = Project(tmp_path)
    failing = {"FAIL": "--editable ." if culprit == "." else f"--requirement {culprit}"}
    assert project.make(**failing).returncode
    assert project.make("run", **failing).returncode
    assert project.installs() == (["."] if culprit == "." else WHOLE)


@needs_make
def test_set_up_refuses_other_pythons_in_one_line(tmp_path: Path) -> None:
    refused = Project(tmp_path).make(UNSUPPORTED="1")
    lines = [line for line in refused.stderr.splitlines() if not line.startswith("make:")]
    assert refused.returncode
    assert len(lines) == 1
    assert "needs Python 3.11, 3.12 or 3.13" in lines[0]
    assert not (tmp_path / ".venv").exists()


@needs_make
def test_help_names_targets_that_exist() -> None:
    helped = call("make", "help", folder=ROOT)
    targets = re.findall(r"^  make (\S+)", helped.stdout, re.MULTILINE)
    assert {"run", "test", "test-all", "test-slow", "help"} <= set(targets)
    for target in [*targets, "no-such-target"]:
        dry = call("make", "-n", target, folder=ROOT, PYTHON=sys.executable)
        assert (dry.returncode == 0) == (target != "no-such-target"), dry.stderr


def ci(folder: Path, **extra: str) -> subprocess.CompletedProcess[str]:
    """`.ci/run` of a repository in this folder, with a make that prints what pytest would."""
    (folder / "repository" / ".ci").mkdir(parents=True)
    script = shutil.copy(ROOT / ".ci" / "run", folder / "repository" / ".ci")
    (folder / "make").write_text(PYTEST)
    (folder / "make").chmod(0o755)
    return call(script, folder=folder, PATH=f"{folder}{os.pathsep}{os.environ['PATH']}", **extra)


@pytest.mark.parametrize("beside", [True, False])
def test_ci_finds_the_data_and_counts_what_was_skipped_for_want_of_it(tmp_path: Path, beside: bool) -> None:
    data = tmp_path / "shared" / "data"
    if beside:
        data.mkdir(parents=True)
    checked = ci(tmp_path)
    lines = checked.stdout.splitlines()
    assert checked.returncode == 0
    assert lines[0] == f"MEMBRANE_DATA={data if beside else ''} CI=true"
    assert lines[-3] == f"data folder: {f'found, {data}' if beside else 'not found'}"
    assert lines[-2] == "tests skipped for missing data: 8"
    assert lines[-1] == "42 passed, 1 failed, 0 errors, 12 skipped in 69.70s"


@pytest.mark.parametrize(("ends", "code"), [({"FIRST": "2"}, 2), ({"REST": "3"}, 3), ({"FIRST": "2", "REST": "3"}, 2)])
def test_ci_fails_where_either_run_fails_and_runs_both(tmp_path: Path, ends: dict[str, str], code: int) -> None:
    checked = ci(tmp_path, **ends)
    assert checked.returncode == code
    assert "42 passed" in checked.stdout


def test_ci_says_so_where_pytest_was_broken_off(tmp_path: Path) -> None:
    checked = ci(tmp_path, BROKEN="1", FIRST="2")
    assert checked.stdout.splitlines()[-2:] == [
        "30 passed, 0 failed, 0 errors, 5 skipped in 8.50s",
        "pytest did not run to its end",
    ]


def test_ci_keeps_the_data_folder_that_it_was_given(tmp_path: Path) -> None:
    (tmp_path / "shared" / "data").mkdir(parents=True)
    elsewhere = tmp_path / "elsewhere"
    checked = ci(tmp_path, MEMBRANE_DATA=str(elsewhere))
    assert checked.stdout.startswith(f"MEMBRANE_DATA={elsewhere} CI=true\n")
    assert f"data folder: not found, {elsewhere}\n" in checked.stdout


def test_every_library_that_the_sources_import_is_a_dependency_by_name() -> None:
    distributions = metadata.packages_distributions()
    extras = PYPROJECT["project"]["optional-dependencies"]
    stated = [*PYPROJECT["project"]["dependencies"], *extras["optuna"], *extras["bench"]]
    named = {canonicalize_name(Requirement(line).name) for line in stated}
    missing = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [name.name for name in node.names] if isinstance(node, ast.Import) else []
            modules += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            for top in (
                {module.split(".")[0] for module in modules} - sys.stdlib_module_names - {"membrane", "hydra_plugins"}
            ):
                if not {canonicalize_name(name) for name in distributions.get(top, [top])} & named:
                    missing.add(f"{path.relative_to(ROOT)}: {top}")
    assert missing == set()
