"""The answer of a report in a sentence."""

from pathlib import Path

from reported_runs import PLIF, RELU, finished, right_answers, study

from membrane.report.answer_sentence import answer_sentence
from membrane.report.differences import compare_rows
from membrane.report.recorded import gather_runs
from membrane.report.rows import group_runs


def answer(runs: Path, **baseline: str) -> str:
    """The answer on a folder of runs."""
    rows = group_runs(gather_runs([runs]).runs)
    if baseline:
        compare_rows(rows, baseline)
    return answer_sentence(rows)


def test_without_a_baseline_the_gap_is_named_and_how_to_test_it(tmp_path: Path) -> None:
    text = answer(study(tmp_path))
    assert text.startswith(
        "neuron=relu has the best mean test accuracy, 88.17 ± 1.04 % over 3 seeds. neuron=plif is 26.17"
    )
    assert text.endswith("--baseline says whether such a difference is more than chance.")


def test_with_one_the_best_row_and_all_verdicts_are_told(tmp_path: Path) -> None:
    text = answer(study(tmp_path), neuron="lif")
    assert "It is 28.17 points better than neuron=lif (95 % interval of the difference [22.47, 33.87])." in text
    assert text.endswith("Of 2 rows: 1 better, 1 no difference.")
    assert "No difference between neuron=plif and neuron=relu" not in answer(tmp_path, neuron="relu")


def test_one_row_several_data_sets_and_nothing(tmp_path: Path) -> None:
    one = tmp_path / "one"
    finished(one, "f0", 0, right_answers(0.6, 0))
    assert answer(one).endswith("reaches a test accuracy of 61.50 % over 1 seed.")
    finished(one, "f1", 0, right_answers(0.6, 0), {"dataset": {"_target_": "membrane.data.idx.MNIST"}})
    assert answer(one) == "2 rows of 2 data sets, whose scores do not compare: digits, mnist."
    assert answer_sentence([]) == "No run has finished yet."


def test_of_errors_the_smallest_is_the_best(tmp_path: Path) -> None:
    for number, (neuron, error) in enumerate([({}, 0.5), (PLIF, 0.25), (RELU, 0.375)]):
        finished(tmp_path, f"f{number}", 0, right_answers(0.6, 0), neuron, {"metrics": {"test/mae": error}})
    assert answer(tmp_path) == (
        "neuron=plif has the best mean test mean absolute error, 0.2500 over 1 seed. neuron=relu is 0.1250 behind;"
        " --baseline says whether such a difference is more than chance."
    )


def test_a_baseline_that_is_best_is_compared_with_the_next(tmp_path: Path) -> None:
    text = answer(study(tmp_path), neuron="relu")
    assert "neuron=plif is 26.17 points worse than neuron=relu (95 % interval of the difference [−" in text
    assert text.endswith("Of 2 rows: 2 worse.")
