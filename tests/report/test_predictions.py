"""Predictions as a table, CSV and JSON; what a stranger has written is text."""

import csv
import json

from membrane.report.predictions import Prediction, predictions_as_csv, predictions_as_json, predictions_as_table
from membrane.report.terminal import console

OVER_TIME = [[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]]
NAMED = Prediction("a.png", 0, OVER_TIME, True, ["cat", "=cmd()", "\x1b[31m[bold]dog"])
TARGETS = Prediction("b.npy", 2, [[1.5, -2.0]], False)


def test_the_answer_is_that_of_all_timesteps_or_of_each() -> None:
    assert NAMED.rows(timesteps=False) == [
        {"file": "a.png", "sample": 0, "label": 2, "class": "\x1b[31m[bold]dog", "confidence": 0.7}
    ]
    assert [(row["timesteps"], row["class"]) for row in NAMED.rows(timesteps=True)] == [
        (1, "cat"),
        (2, "\x1b[31m[bold]dog"),
    ]


def test_csv_has_no_formula_and_says_of_how_many_runs_it_is() -> None:
    formula = Prediction("=a.png", 0, [[0.1, 0.9]], True, ["no", "=cmd()"])
    [row] = csv.DictReader(predictions_as_csv([formula], ["x", "y"], False).splitlines())
    assert row == {
        "runs": "2",
        "file": "'=a.png",
        "sample": "0",
        "label": "1",
        "class": "'=cmd()",
        "confidence": "0.9",
    }


def test_targets_of_a_regression_have_no_label() -> None:
    [row] = csv.DictReader(predictions_as_csv([TARGETS], ["x"], False).splitlines())
    assert (row["target 0"], row["target 1"]) == ("1.5", "-2.0")
    content = json.loads(predictions_as_json([TARGETS], ["x"], False, ["c.npy: damaged"]))
    assert content["predictions"] == [{"file": "b.npy", "sample": 2, "target 0": 1.5, "target 1": -2.0}]
    assert (content["unread"], content["ensemble"]) == (["c.npy: damaged"], False)


def test_json_tells_how_the_answer_builds_up() -> None:
    content = json.loads(predictions_as_json([NAMED], ["x", "y"], True))
    assert content["ensemble"] is True
    assert content["classes"][0] == "cat"
    [prediction] = content["predictions"]
    assert prediction["probabilities"] == OVER_TIME[-1]
    assert [each["label"] for each in prediction["timesteps"]] == [0, 2]


def test_names_of_strangers_do_nothing_to_the_terminal() -> None:
    screen = console()
    with screen.capture() as captured:
        screen.print(predictions_as_table([NAMED], ["run \x1b[2J", "y"], True))
    printed = captured.get()
    assert "\x1b[31m" not in printed
    assert "\x1b[2J" not in printed
    assert "[bold]dog" in printed
    assert "ensemble of 2 runs" in printed
    assert "sample" not in printed
