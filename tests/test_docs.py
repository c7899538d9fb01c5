"""README.md, CONTRIBUTING.md and docs/: commands that are taken, links that lead somewhere, an example that trains."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from configurations import shared_composer
from test_layers import RANK

from membrane.cli.main import COMMANDS
from membrane.cli.train import train_command
from membrane.config.check import check, resolved
from membrane.config.choices import choices
from membrane.sweep.jobs import jobs_of

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
RUN = "RUN"
"""Stands for a run's folder."""


def commands() -> Iterator[list[str]]:
    """The words of each command in the pages' blocks of bash and in tables and sentences, comments left out."""
    for page in PAGES:
        text = page.read_text()
        blocks = re.findall(r"^```bash\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        lines = [line for block in blocks for line in block.replace("\\\n", "").splitlines()]
        lines += re.findall(r"`((?:python train\.py|membrane [a-z]+|make) [^`…]+)`", text)
        for line in lines:
            command = line.removeprefix("until ").partition("; do")[0]
            if words := shlex.split(command, comments=True):
                yield words


COMMAND_LINES = list(commands())


def arguments_of(*program: str) -> list[list[str]]:
    """The arguments of every command of a program in the pages."""
    return [words[len(program) :] for words in COMMAND_LINES if words[: len(program)] == list(program)]


def test_the_readme_is_short() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 120
    assert len(text.split()) <= 900
    assert text.index("docs/run.png") < text.index("\n## ")


def test_every_program_in_the_pages_is_there() -> None:
    programs = {words[0] for words in COMMAND_LINES}
    assert programs <= {"python", "membrane", "make", "export", "source", "pip", "conda"}
    assert {words[1] for words in COMMAND_LINES if words[0] == "membrane"} == set(COMMANDS) - {"train"}
    scripts = {words[1] for words in COMMAND_LINES if words[0] == "python"}
    assert scripts == {"train.py", "-m", "make_signals.py"}
    makefile = (ROOT / "Makefile").read_text()
    targets = {words[1] for words in COMMAND_LINES if words[0] == "make"}
    assert targets >= {"run", "test"}
    assert [target for target in targets if f"\n{target}: " not in makefile] == []


def test_every_training_in_the_pages_is_a_valid_configuration(tmp_path: Path) -> None:
    np.savez(tmp_path / "my.npz", x_train=np.zeros((2, 5, 1)), y_train=np.arange(2))
    composer = shared_composer()
    trainings = [words for words in arguments_of("python", "train.py") if "--help" not in words]
    assert len(trainings) > 15
    for words in trainings:
        if "--config-dir" in words:
            continue  # docs/extending.md's, which test_extending.py trains
        overrides = [word for word in words if not word.startswith("-") and word != "job" and RUN not in word]
        overrides = [re.sub(r"path=(my|signals)\.npz", f"path={tmp_path}/my.npz", word) for word in overrides]
        jobs, _ = jobs_of(composer, composer.add_or_override(overrides), "-m" in words)
        for job in jobs:
            check(resolved(job.config))


def test_every_name_that_is_looked_up_is_there() -> None:
    groups = choices(ROOT / "conf")
    names = {*groups, *(choice.name for listed in groups.values() for choice in listed), "GROUP", "NAME"}
    looked_up = [words[0] for words in arguments_of("membrane", "models") if words and not words[0].startswith("-")]
    assert looked_up
    assert [name for name in looked_up if name not in names] == []


def test_every_link_leads_to_a_file() -> None:
    texts = {page: re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL) for page in PAGES}
    links = [(page, link) for page, text in texts.items() for link in re.findall(r"\]\(([^)#]+)", text)]
    inside = [(page, link) for page, link in links if not link.startswith("http")]
    assert len(inside) > 8
    assert [f"{page.name}: {link}" for page, link in inside if not (page.parent / link).exists()] == []


def test_every_link_into_a_page_leads_to_a_heading() -> None:
    links = [
        (page, *found) for page in PAGES for found in re.findall(r"\]\(([\w/.]*\.md)?#([^)]+)\)", page.read_text())
    ]
    assert len(links) > 8
    for page, target, anchor in links:
        text = (page.parent / target if target else page).read_text()
        headings = [title.lower() for title in re.findall(r"^#+ (.*)", text, re.MULTILINE)]
        anchors = [re.sub(r"[^\w -]", "", heading).replace(" ", "-") for heading in headings]
        assert anchor in anchors, f"{page.name}: {target}#{anchor}"


def test_the_pages_name_files_that_are_there() -> None:
    missing = []
    for page in PAGES:
        for name in re.findall(r"`((?:src|conf|tests|scripts|records|docs)/[\w/.*]+)`", page.read_text()):
            there = name.startswith("conf/local/") or list(ROOT.glob(name.rstrip("/")))  # conf/local is the reader's
            missing += [] if there else [f"{page.name}: {name}"]
    assert missing == []


def test_contributing_says_what_each_wing_is_for_from_top_to_bottom() -> None:
    rows = re.findall(r"^\| (`.*?) \|", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    named = [name.removeprefix("src/").rstrip("/") for row in rows for name in re.findall(r"`([^`]+)`", row)]
    entries = {path.name for path in (ROOT / "src" / "membrane").iterdir() if not path.name.startswith("__")}
    assert set(named) == entries - {"py.typed"} | {"hydra_plugins"}
    ranks = [RANK[name.removesuffix(".py")] for name in named]
    assert ranks == sorted(ranks)


def test_the_way_of_a_batch_has_six_stops() -> None:
    text = (ROOT / "README.md").read_text()
    way = text[text.index("## The way of a batch") : text.index("## Further")]
    stops = re.findall(r"`([\w/]+\.py)` ?(?:→|\()", way)
    assert len(stops) == 6
    assert stops[0] == "train.py"
    assert all((ROOT / "src" / "membrane" / stop).is_file() for stop in stops[1:])
    # each step is an import in the code; between the command and the run stands the function that Hydra calls
    for caller, called in [
        ("cli/train.py", "membrane.sweep.task"),
        ("sweep/task.py", "membrane.training.run"),
        ("training/run.py", "membrane.data.feed.module"),
        ("training/run.py", "membrane.learner"),
        ("learner.py", "membrane.framework"),
    ]:
        assert f"from {called} import" in (ROOT / "src" / "membrane" / caller).read_text()


def test_the_python_of_the_readme_predicts_what_the_run_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    [block] = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(tmp_path)
    assert train_command(["model=smlp", "epochs=1", "logger=csv", "figures=false", "threads=1"]) == 0
    [run] = Path("runs/digits").glob("*/seed0")
    capsys.readouterr()
    exec(block.replace("<fingerprint>", run.parent.name), {})
    with np.load(run / "outputs" / "test.npz") as saved:
        assert capsys.readouterr().out == f"{torch.from_numpy(saved['output'][:5]).argmax(1)}\n"
