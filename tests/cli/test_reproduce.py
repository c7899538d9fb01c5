"""`membrane reproduce`: the list, the rows that are none, and a row trained for one epoch into its record."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from membrane.cli import reproduce
from membrane.cli.reproduce import changes_the_row, plan_line, reproduce_command, require_results
from membrane.config.composer import conf_folder
from membrane.data.idx import FashionMNIST
from membrane.data.samples import Samples
from membrane.errors import ConfigError, RunFailed
from membrane.papers.registry import paper_rows


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random images in the place of Fashion-MNIST, of each class as many."""
    generator = torch.Generator().manual_seed(0)
    parts = [Samples(torch.rand(n, 1, 28, 28, generator=generator), torch.arange(n) % 10) for n in (60, 20)]
    monkeypatch.setattr(FashionMNIST, "load", lambda *_: tuple(parts))


def test_the_list_names_each_row_with_what_is_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "seq_fmnist" / "plain" / "paper_best_on_test" / "seed0"
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps({"metrics": {"test/acc_mean_last10": 0.7}}))
    damaged = folder.with_name("seed1") / "result.json"
    damaged.parent.mkdir()
    damaged.write_text("[1]")
    assert reproduce_command(["--list", "--records", str(tmp_path)]) == 0
    printed = capsys.readouterr()
    assert printed.err == f"membrane: {damaged}: damaged (ValueError: not an object); move the folder away\n"
    lines = printed.out.splitlines()
    (start,) = (number for number, line in enumerate(lines) if " seq_fmnist/plain " in line)
    cells = lines[start].split()
    assert cells[:2] == ["seq_fmnist/plain", "70.35"]
    assert cells[4:10] == ["70.00", "68.85", "to", "71.85", "–", "–"]
    rest = lines[start + 1].split() if lines[start + 1].startswith("   ") else []  # where the last cell was broken
    assert [*cells[10:], *rest] == ["in", "band,", "1", "of", "5", "seeds"]


def test_a_missing_folder_of_records_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert reproduce_command(["--list", "seq_fmnist", "--records", str(tmp_path / "nowhere")]) == 0
    printed = capsys.readouterr()
    assert printed.err.startswith(f"membrane: {tmp_path}/nowhere: no such folder, so nothing is shown as recorded")
    ids = [line.split()[0] for line in printed.out.splitlines() if "not recorded" in line]
    assert ids == ["seq_fmnist/feedback", "seq_fmnist/plain", "seq_fmnist/synapse"]


def test_no_id_of_the_records_is_broken_where_the_list_is_not_on_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert reproduce_command(["--list", "--records", str(Path(__file__).parents[2] / "records")]) == 0
    words = capsys.readouterr().out.split()
    assert {row.id for row in paper_rows(conf_folder() / "experiment")} - set(words) == set()


def test_the_list_imports_no_torch() -> None:
    code = "import sys; from membrane.cli.reproduce import reproduce_command as reproduce; reproduce(['--list'])"
    ended = subprocess.run([sys.executable, "-c", f"{code}; sys.exit('torch' in sys.modules)"], check=False)
    assert ended.returncode == 0


def test_without_arguments_it_says_what_it_can_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert reproduce_command([]) == 0
    assert "membrane reproduce --list" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["seq_fmnist/plane"], "seq_fmnist/plane: no row of a paper; did you mean seq_fmnist/plain?"),
        (["seq_fmnist/plain", "--seeds", "0,b"], "0,b: expected whole numbers from 0 as 0,1,2"),
        (["--quick"], "name what to train: a row"),
        (["--repeat"], "or with --repeat a recorded folder"),
        (["seq_fmnist/plain", "--quick", "--record"], "--record: not allowed with argument --quick"),
        (["--redraw", "--records", "nowhere"], "nowhere: nothing is recorded of any row"),
        (["seq_fmnist/plain", "--redraw", "--records", "nowhere"], "nothing is recorded of seq_fmnist/plain"),
    ],
)
def test_what_is_none_is_refused(arguments: list[str], line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        reproduce_command(arguments)
    assert line in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "changed"),
    [
        ([], False),
        (["threads=1", "logger=csv", "paths.runs=elsewhere", "figures=false"], False),
        (["epochs=1"], True),
        (["encoder.axis=rows"], True),
        (["threads=1", "batch_size=128"], True),
    ],
)
def test_what_shapes_the_result_changes_the_row(settings: list[str], changed: bool) -> None:
    (row,) = (row for row in paper_rows(conf_folder() / "experiment") if row.id == "seq_fmnist/plain")
    assert changes_the_row(row, settings) == changed


def test_a_changed_row_is_not_recorded_and_not_held_to_its_band(
    tiny: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = [
        "epochs=1",
        "batch_size=10",
        "logger=csv",
        "figures=false",
        "trainer=cpu",
        f"paths.runs={tmp_path}/runs",
    ]
    with pytest.raises(ConfigError, match=r"^epochs=1 .*: a record is of seq_fmnist/plain as its file has it"):
        reproduce_command(["seq_fmnist/plain", "--record", "--records", str(tmp_path), *settings])
    assert list(tmp_path.iterdir()) == []
    assert reproduce_command(["seq_fmnist/plain", "--seeds", "4", "--protocol", "last", *settings]) == 0
    assert "so the band says nothing of it: epochs=1 batch_size=10" in capsys.readouterr().out


def test_a_row_is_trained_under_both_protocols_and_recorded(
    tiny: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reproduce, "changes_the_row", lambda *_: False)  # to record a run of one epoch
    records = tmp_path / "records"
    settings = [
        "epochs=1",
        "batch_size=10",
        "logger=csv",
        "figures=false",
        "trainer=cpu",
        f"paths.runs={tmp_path}/runs",
    ]
    arguments = ["seq_fmnist/plain", "--seeds", "4", "--record", "--records", str(records), *settings]
    assert reproduce_command(arguments) == 0
    folder = records / "seq_fmnist" / "plain"
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["figure.png", "paper_best_on_test", "table.md", "val_best"]
    protocols = names[1::2]
    accuracies = {}
    for protocol in protocols:
        content = json.loads((folder / protocol / "seed4" / "result.json").read_text())
        assert (content["protocol"], content["seed"]) == (protocol, 4)
        accuracies[protocol] = content["metrics"]["test/acc"]
    printed = capsys.readouterr().out.splitlines()
    assert f"recorded in {folder}" in printed
    (line,) = (each for each in printed if each.startswith(" seq_fmnist/plain"))
    assert f"{accuracies['paper_best_on_test'] * 100:.2f}" in line
    assert f"{accuracies['val_best'] * 100:.2f}" in line
    assert [path for path in folder.glob("*/seed4/*") if str(tmp_path) in path.read_text()] == []

    table = (folder / "table.md").read_text()
    (folder / "figure.png").unlink()
    (folder / "table.md").write_text("old")
    assert reproduce_command(["--redraw", "--records", str(records)]) == 0
    assert capsys.readouterr().out.splitlines() == [str(folder)]
    assert (folder / "table.md").read_text() == table
    assert (folder / "figure.png").exists()


def test_a_record_that_cannot_be_drawn_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fsdd" / "last" / "seed0").mkdir(parents=True)
    (tmp_path / "fsdd" / "last" / "seed0" / "result.json").touch()

    def fail(*_: object) -> None:
        raise OSError(30, "Read-only file system", ".table.md.c61bcfcab3e12973.tmp")

    monkeypatch.setattr(reproduce, "write_record_pages", fail)
    with pytest.raises(ConfigError, match=f"^--records {tmp_path}: Read-only file system$"):
        reproduce_command(["fsdd", "--redraw", "--records", str(tmp_path)])


@pytest.mark.parametrize(
    ("name", "protocols", "seeds", "line"),
    [
        ("snntorch/t5", ["last"], 1, "snntorch/t5: 1 seed under last, each about 1 min on two cores"),
        (
            "shd/ff",
            ["paper_best_on_test", "val_best"],
            5,
            "shd/ff: 5 seeds under paper_best_on_test and val_best, each about 40 min on two cores or 5 min on a GPU",
        ),
    ],
)
def test_the_plan_says_how_many_trainings_and_how_long(name: str, protocols: list[str], seeds: int, line: str) -> None:
    (row,) = (row for row in paper_rows(conf_folder() / "experiment") if row.id == name)
    assert plan_line(row, protocols, seeds) == line


def test_a_seed_that_another_process_trains_is_named(tmp_path: Path) -> None:
    for seed in range(2):
        (tmp_path / str(seed)).mkdir()
    (tmp_path / "0" / "result.json").touch()
    require_results({0: tmp_path / "0"})
    with pytest.raises(RunFailed, match=r"^no result of seed 1 yet: it is being trained by another process; start"):
        require_results({seed: tmp_path / str(seed) for seed in range(2)})


def test_a_quick_run_leaves_no_result(tiny: None, tmp_path: Path) -> None:
    assert (
        reproduce_command(
            ["seq_fmnist/plain", "--quick", "batch_size=10", "logger=csv", "trainer=cpu", f"paths.runs={tmp_path}"]
        )
        == 0
    )
    assert not list(tmp_path.glob("**/result.json"))
