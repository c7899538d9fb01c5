"""`membrane report`: what it writes where, and what it refuses."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from reported_runs import study

from membrane.cli.report import report_command
from membrane.errors import ConfigError


def test_the_table_is_printed_and_damage_is_named_beside_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = study(tmp_path)
    (runs / "study" / "f0" / "seed1" / "provenance.json").write_text("{")
    assert report_command([str(runs), "--baseline", "neuron=relu"]) == 0
    printed = capsys.readouterr()
    assert "neuron" in printed.out
    assert "provenance.json: damaged" in printed.err


@pytest.mark.parametrize(
    ("name", "begins"), [("t.md", "dataset digits"), ("t.tex", "% \\usepackage"), ("t.csv", "neuron,"), ("t.json", "[")]
)
def test_a_files_name_says_its_format(tmp_path: Path, name: str, begins: str) -> None:
    assert report_command([str(study(tmp_path / "runs")), "-o", str(tmp_path / name)]) == 0
    assert (tmp_path / name).read_text().startswith(begins)


def test_a_name_of_no_format_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    for name in ("t.pdf", "t.html"):
        with pytest.raises(ConfigError, match=r"expected .md, .tex, .csv, .json, or --format; --html t.html is a page"):
            report_command([str(tmp_path / "runs"), "-o", str(tmp_path / name)])
        assert not (tmp_path / name).exists()
    assert report_command([str(study(tmp_path / "runs")), "-o", str(tmp_path / "t.pdf"), "--format", "csv"]) == 0


def test_another_score_is_a_column(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = study(tmp_path)
    assert report_command([str(runs), "--metric", "test/loss", "--format", "md"]) == 0
    assert "| test/acc, % | test/loss |" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="--metric test/f1: no run has it; they have val/acc, test/loss, test/acc"):
        report_command([str(runs), "--metric", "test/f1"])


def test_a_baseline_that_is_no_setting_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--baseline relu: write a setting"):
        report_command([str(tmp_path), "--baseline", "relu"])


def test_it_needs_no_torch(tmp_path: Path) -> None:
    program = """if True:
        import sys
        from membrane.cli.main import main
        code = main(sys.argv[1:])
        heavy = {"torch", "lightning", "spikingjelly", "matplotlib", "sklearn"} & set(sys.modules)
        print(code, sorted(heavy), file=sys.stderr)
    """
    command = [
        sys.executable,
        "-c",
        program,
        "report",
        str(study(tmp_path)),
        "--baseline",
        "neuron=lif",
        "--format",
        "json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "0 []"
    assert len(json.loads(done.stdout)) == 3
