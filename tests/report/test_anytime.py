"""The table over timesteps and the line on early exit."""

from membrane.report.anytime import anytime_table, exit_line
from membrane.report.terminal import console


def test_a_row_for_each_number_of_timesteps() -> None:
    curve = {"timesteps": [1, 2], "test/acc": [0.5, 0.75], "test/confidence": [0.25, 0.5], "test/f1": [0.1, 0.2]}
    screen = console()
    with screen.capture() as captured:
        screen.print(anytime_table(curve))
    rows = [line.split() for line in captured.get().splitlines() if "%" in line]
    assert rows == [["1", "50.00", "%", "25.00", "%"], ["2", "75.00", "%", "50.00", "%"]]


def test_the_line_says_which_part_chose() -> None:
    never = {"threshold": None, "passes": 4.0, "acc": 0.9}
    point = {"threshold": 0.25, "passes": 1.5, "acc": 0.8}
    line = exit_line({"part": "train", "samples": 7, "test": point, "test_never": never})
    assert line == (
        "early exit at a margin of 0.2500, chosen on 7 samples of training (the run has no validation): "
        "1.50 passes a sample, test/acc 80.00 % (never: 4.00 passes a sample, test/acc 90.00 %)"
    )
    none = exit_line({"part": "val", "samples": 7, "test": never, "test_never": never})
    assert none.startswith("early exit: none is as accurate on 7 samples of validation as all timesteps; never: 4.00")
