"""All that is recorded of a row says how it stands to the claim, the band and the recipe by hand."""

import json
from pathlib import Path
from typing import Any

import pytest
from paper_rows import result, row

from membrane.errors import DataError
from membrane.papers.entry import Entry, read_entry
from membrane.papers.registry import PaperRow
from membrane.papers.spread import SeedMean


def entry(of: PaperRow, results: dict[str, Any], by_hand: dict[int, dict[str, Any]] | None = None) -> Entry:
    return Entry(of, Path("records") / of.id, results, by_hand or {})


@pytest.mark.parametrize(("compared", "expected"), [("best", 0.92), ("last", 0.82), ("mean_last10", 0.72)])
def test_like_is_compared_with_like(compared: str, expected: float) -> None:
    numbers = {"test__acc": 0.1, "test_last__acc": 0.82, "test__acc_mean_last10": 0.72, "test__acc_best_oracle": 0.92}
    results = {"paper_best_on_test": {0: result(**numbers)}, "val_best": {0: result(test__acc=0.5)}}
    assert entry(row(compared=compared), results).ours() == SeedMean(expected, None, 1)
    assert entry(row(), results).honest() == SeedMean(0.5, None, 1)


def test_the_deviation_is_that_of_a_sample() -> None:
    scores = {seed: result(test__acc_best_oracle=value) for seed, value in enumerate((0.90, 0.94, 0.95))}
    spread = entry(row(), {"paper_best_on_test": scores}).ours()
    # mean 0.93; deviations −0.03, 0.01, 0.02: (9 + 1 + 4)e-4 / 2 = 7e-4
    assert spread is not None
    assert (spread.mean, spread.deviation, spread.n) == (pytest.approx(0.93), pytest.approx(7e-4**0.5), 3)
    assert str(spread) == "93.00 ± 2.65"
    assert str(SeedMean(0.93, None, 1)) == "93.00"


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([], "not recorded"),
        ([0.85, 0.85], "in band"),
        ([0.95, 0.95], "in band"),
        ([0.80, 0.89], "outside"),
        ([0.96, 0.96], "outside"),
        ([0.9], "in band, 1 of 2 seeds"),
        ([0.5], "outside, 1 of 2 seeds"),
    ],
)
def test_the_mean_over_seeds_is_to_lie_in_the_band(scores: list[float], expected: str) -> None:
    results = {"paper_best_on_test": {seed: result(test__acc_best_oracle=each) for seed, each in enumerate(scores)}}
    assert entry(row(), results).state() == expected


@pytest.mark.parametrize(("scores", "expected"), [([0.1], "recorded, 1 of 2 seeds"), ([0.1, 0.2], "recorded")])
def test_a_row_without_a_band_is_recorded(scores: list[float], expected: str) -> None:
    results = {"paper_best_on_test": {seed: result(test__acc_best_oracle=each) for seed, each in enumerate(scores)}}
    assert entry(row(band=None, published={}), results).state() == expected


def test_a_score_that_is_no_number_is_named() -> None:
    with pytest.raises(DataError, match="test/acc_best_oracle that is no number"):
        entry(row(), {"paper_best_on_test": {0: {"metrics": {"test/acc_best_oracle": "high"}}}}).ours()


@pytest.mark.parametrize("score", [float("nan"), float("inf"), 1e308, -1])
def test_a_score_that_is_no_accuracy_lies_in_no_band(score: float) -> None:
    results = {"paper_best_on_test": {0: result(test__acc_best_oracle=0.9), 1: result(test__acc_best_oracle=score)}}
    assert str(entry(row(), results).ours()) == "nan"
    assert entry(row(), results).state() == "outside"


@pytest.mark.parametrize(
    ("within", "by_hand", "expected"),
    [
        (0.02, (0.80, 0.81, 0.82), "as by hand"),  # their mean is 0.81, ours 0.80
        (0.02, (0.80, 0.81), "outside"),  # two seeds say little
        (0.005, (0.80, 0.81, 0.82), "outside"),
        (None, (0.80, 0.80, 0.80), "outside"),
    ],
)
def test_outside_its_band_a_row_may_be_held_to_the_recipe_by_hand(
    within: float | None, by_hand: tuple[float, ...], expected: str
) -> None:
    results = {"paper_best_on_test": {seed: result(test__acc_best_oracle=0.8) for seed in range(2)}}
    hand = {seed: {"best": each, "seconds": 3} for seed, each in enumerate(by_hand)}
    assert entry(row(by_hand_within=within), results, hand).state() == expected
    hand[0]["best"] = "high"
    with pytest.raises(DataError, match=r"paper/row by hand has a best that is no number"):
        entry(row(by_hand_within=within), results, hand).state()


def test_the_best_epoch_flatters_by_what_it_lies_above_the_last_ten() -> None:
    scores = [(0.93, 0.90), (0.95, 0.90)]
    results = [result(test__acc_best_oracle=best, test__acc_mean_last10=last) | {"epochs": 20} for best, last in scores]
    flattery = entry(row(), {"paper_best_on_test": dict(enumerate(results))}).flattery()
    assert flattery == SeedMean(pytest.approx(0.04), pytest.approx(2e-4**0.5), 2)
    short = {**results[0], "epochs": 10}  # its best is one of the ten
    assert entry(row(), {"paper_best_on_test": {0: short}}).flattery() is None


def test_a_record_is_read_with_what_was_trained_by_hand_and_its_time(tmp_path: Path) -> None:
    folder = tmp_path / "paper" / "row"
    (folder / "by_hand").mkdir(parents=True)
    (folder / "by_hand" / "seed0.json").write_text('{"best": 0.9, "seconds": 100}')
    (folder / "by_hand" / "seed1.json").write_text("[")
    (folder / "by_hand" / "seed2.json").write_text('{"best": "0.9", "last": null}')
    for seed, last in enumerate(("00:00:41,500", "00:59:00,000")):  # nothing by hand beside seed 1
        run = folder / "paper_best_on_test" / f"seed{seed}"
        run.mkdir(parents=True)
        (run / "result.json").write_text(json.dumps(result(test__acc_best_oracle=0.8)))
        (run / "run.log").write_text(f"2026-01-31 23:59:59,500 INFO a: b\n2026-02-01 {last} INFO a: c\n  d\n")
    unread: list[str] = []
    read = read_entry(tmp_path, row(), unread)
    assert read.hand() == SeedMean(0.9, None, 1)
    assert read.seconds() == (42.0, 100)
    damaged, no_number = unread
    assert damaged.startswith(f"{folder / 'by_hand' / 'seed1.json'}: damaged")
    assert no_number == f"{folder / 'by_hand' / 'seed2.json'}: damaged (ValueError: best is not a number)"
    (folder / "paper_best_on_test" / "seed0" / "run.log").write_text(
        "2026-02-01 00:00:00,000 INFO a: resumed: from step 2\n2026-02-01 00:00:09,000 INFO a: b\n"
    )
    assert read.seconds() is None
