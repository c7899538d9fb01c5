"""Tables of published numbers beside ours, by hand and under val_best."""

from pathlib import Path

from paper_rows import result, row

from membrane.papers.entry import Entry
from membrane.report.claims import claims_table, flattery_table, numbers_table, versions_table


def entry() -> Entry:
    scores = ((0.93, 0.92, 0.91), (0.95, 0.93, 0.92))
    names = ("test__acc_best_oracle", "test_last__acc", "test__acc_mean_last10")
    ours = [result(**dict(zip(names, each, strict=True))) | {"epochs": 20} for each in scores]
    results = {"paper_best_on_test": dict(enumerate(ours)), "val_best": {0: result(test__acc=0.9)}}
    by_hand = {0: {"best": 0.94, "last": 0.93, "mean_last10": 0.92, "seconds": 1}}
    of = row(published={"best": 0.9, "mean_last10": 0.89}, compared="best")
    return Entry(of, Path("records"), results, by_hand)


def test_a_claim_stands_beside_ours_and_what_is_not_recorded_is_left_out() -> None:
    header, _, *rows = claims_table([entry(), Entry(row(), Path("records"), {}, {})]).splitlines()
    assert header == "|row|number|published|ours|n|band|by hand|`val_best`|state|"
    assert rows == ["|`paper/row`|best epoch|90.00|94.00 ± 1.41|2|85.00–95.00|94.00|90.00|in band|"]


def test_each_number_of_a_training_has_a_column() -> None:
    assert numbers_table(entry()).splitlines() == [
        "|test accuracy, %|best epoch|last epoch|last ten|",
        "|---|--:|--:|--:|",
        "|published|90.00|–|89.00|",
        "|ours|94.00 ± 1.41 (n = 2)|92.50 ± 0.71 (n = 2)|91.50 ± 0.71 (n = 2)|",
        "|by hand|94.00 (n = 1)|93.00 (n = 1)|92.00 (n = 1)|",
    ]


def test_the_best_epoch_flatters_seed_by_seed() -> None:
    # 93 − 91 and 95 − 92: 2.5 with a deviation of 1 / √2
    assert flattery_table([entry()]).splitlines()[2:] == ["|`paper/row`|94.00 ± 1.41|91.50 ± 0.71|2.50 ± 0.71|90.00|"]


def test_what_a_version_moved_is_told_from_what_we_do_otherwise() -> None:
    # published 90, by hand 94, ours 94 on the mean of 93 and 95
    assert versions_table([entry()]).splitlines()[2:] == ["|`paper/row`|90.00|94.00|1|+4.00|94.00 ± 1.41|+0.00|"]
