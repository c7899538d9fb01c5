"""The formats of a report: what stands in each, and that nobody's text is anything else than text."""

import csv
import io
import json
import re
from pathlib import Path

import pytest
from reported_runs import finished, right_answers, study

from membrane.report.differences import compare_rows
from membrane.report.flags import flag_rows
from membrane.report.formats import (
    csv_text,
    latex_text,
    markdown_text,
    rows_as_csv,
    rows_as_json,
    rows_as_latex,
    rows_as_markdown,
)
from membrane.report.recorded import gather_runs
from membrane.report.rows import ReportRow, group_runs

HOSTILE = '=cmd()|<script>alert("x")</script> & _a_ \\input{x} %[l](http://x) \x1b[31m\n$x^2~'


def rows_of(runs: Path, **baseline: str) -> list[ReportRow]:
    """The rows of a folder, compared and flagged."""
    rows = group_runs(gather_runs([runs]).runs)
    if baseline:
        compare_rows(rows, baseline)
    flag_rows(rows)
    return rows


def test_json_is_as_the_contract_says(tmp_path: Path) -> None:
    rows = json.loads(rows_as_json(rows_of(study(tmp_path), neuron="lif")))
    assert [row["settings"] for row in rows] == [{"neuron": name} for name in ("lif", "plif", "relu")]
    last = rows[-1]
    assert {
        "settings",
        "n",
        "seeds",
        "metrics",
        "wilson95",
        "parameters",
        "fit_seconds",
        "rate",
        "difference",
        "flags",
    } <= set(last)
    assert set(last["metrics"]["test/acc"]) == {"mean", "std", "ci95"}
    assert {"to", "mean", "ci95", "p", "verdict"} <= set(last["difference"])
    assert rows[0]["difference"] is None
    assert (last["n"], last["seeds"], last["flags"], last["rate"]) == (3, [0, 1, 2], [], None)


def test_a_number_among_the_settings_is_one_in_json(tmp_path: Path) -> None:
    for timesteps in (4, 8):
        finished(tmp_path, f"f{timesteps}", 0, right_answers(0.6, 0), {"timesteps": timesteps})
    assert [row["settings"] for row in json.loads(rows_as_json(rows_of(tmp_path)))] == [
        {"timesteps": 4},
        {"timesteps": 8},
    ]


def test_a_row_of_latex_is_no_argument_of_the_line_break_above_it(tmp_path: Path) -> None:
    for number in (4, 8):
        finished(tmp_path, f"f{number}", 0, right_answers(0.6, 0), {"channels": [number, number]})
    lines = rows_as_latex(rows_of(tmp_path)).splitlines()
    assert [line.partition(" & ")[0] for line in lines if ",8]" in line or ",4]" in line] == ["{}[4,4]", "{}[8,8]"]


def test_markdown_has_a_cell_for_each_column(tmp_path: Path) -> None:
    text = rows_as_markdown(rows_of(study(tmp_path), neuron="lif"))
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 5
    assert len({line.count("|") for line in lines}) == 1
    assert re.search(r"\| plif \| \d\d\.\d\d ± \d\.\d\d \| 3 \| \[\d", text)


def test_latex_is_a_tabular_of_booktabs(tmp_path: Path) -> None:
    text = rows_as_latex(rows_of(study(tmp_path, 2), neuron="relu"))
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")].splitlines()[1:]
    (places,) = re.findall(r"begin\{tabular\}\{(\w+)\}", text)
    assert all(line.count(" & ") == len(places) - 1 and line.endswith(r"\\") for line in body)
    assert r"$-$" in text
    assert text.index(r"\toprule") < text.index(r"\midrule") < text.index(r"\bottomrule") < text.index(r"\end{tabular}")


def test_notes_are_marked_in_latex_as_in_a_paper(tmp_path: Path) -> None:
    runs = study(tmp_path)
    ended = {"ended": "finish=true after 1 of 2 epochs"}
    finished(runs, "f3", 0, right_answers(0.6, 0), {"neuron": {"_target_": "theirs.Mine"}}, ended)
    lines = rows_as_latex(rows_of(runs)).splitlines()
    rows = [line.removesuffix(r" \\").split(" & ") for line in lines if " & " in line]
    assert {cells[0]: cells[-1] for cells in rows} == {
        "neuron": "notes",
        "Mine": r"\textsuperscript{1,2,3}",
        "lif": "",
        "plif": "",
        "relu": "",
    }
    notes = [line for line in lines if line.startswith(r"\multicolumn{")]
    assert [re.findall(r"superscript\{(\d)\}", line) for line in notes] == [["1"], ["2"], ["3"]]


def test_csv_has_all_digits(tmp_path: Path) -> None:
    rows = rows_of(study(tmp_path), neuron="lif")
    table = list(csv.DictReader(io.StringIO(rows_as_csv(rows))))
    assert float(table[0]["test/acc"]) == rows[0].metrics["test/acc"].mean
    assert rows[2].difference is not None
    assert float(table[2]["difference"]) == rows[2].difference.mean
    assert table[0]["difference"] == ""


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b", r"a\|b"),
        ("<b>&", "&lt;b&gt;&amp;"),
        ("test_acc", "test_acc"),
        ("_a_", r"\_a\_"),
        ("[x](y)", r"\[x\](y)"),
        ("a\nb\x1b[0m", r"a b\\x1b\[0m"),
        ("`x` *y*", r"\`x\` \*y\*"),
    ],
)
def test_markdown_shows_text_as_it_is(text: str, shown: str) -> None:
    assert markdown_text(text) == shown


def test_latex_sets_text_as_it_is() -> None:
    assert latex_text(r"\input{a_b} 5% $x$ #1 & ~^") == (
        r"\textbackslash{}input\{a\_b\} 5\% \$x\$ \#1 \& \textasciitilde{}\textasciicircum{}"
    )


def test_a_spreadsheet_finds_no_formula() -> None:
    assert [csv_text(each) for each in ("=1+1", "@x", "-2", "+2", "\t=1", "a=1", "")] == [
        "'=1+1",
        "'@x",
        "'-2",
        "'+2",
        "' =1",
        "a=1",
        "",
    ]


def test_a_strangers_settings_are_text_everywhere(tmp_path: Path) -> None:
    for number, name in enumerate((HOSTILE, "plain")):
        own = {"neuron": {"_target_": "torch.nn.ReLU"}, "loss": name}
        finished(tmp_path, f"f{number}", 0, right_answers(0.6, 0), own, {"ended": HOSTILE})
    rows = rows_of(tmp_path)
    markdown, latex = rows_as_markdown(rows), rows_as_latex(rows)
    assert "<script>" not in markdown
    assert len({line.replace(r"\|", "").count("|") for line in markdown.splitlines() if line.startswith("|")}) == 1
    assert r"\input" not in latex
    assert "\x1b" not in markdown + latex + rows_as_csv(rows)
    cells = [cell for line in csv.reader(io.StringIO(rows_as_csv(rows))) for cell in line]
    assert not any(cell.startswith("=") for cell in cells)
    assert any(row["settings"]["loss"] == HOSTILE for row in json.loads(rows_as_json(rows)))
