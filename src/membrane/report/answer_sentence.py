"""The answer of a report in a sentence or two: which row is best, and whether more than chance says so."""

from collections.abc import Sequence
from textwrap import shorten

from membrane.report.columns import PERCENT, digits_of, factor_of, interval_cell, mean_cell
from membrane.report.differences import NO_DIFFERENCE
from membrane.report.rows import ReportRow, title_of
from membrane.report.settings import setting_text
from membrane.scores import score_of

LONGEST = 120
"""Characters of a row's name in a sentence, at most."""


def answer_sentence(rows: Sequence[ReportRow]) -> str:
    """Return what the rows say of the score that most of them are known by."""
    score = next((row.principal for row in rows if row.principal), None)
    known = [row for row in rows if score is not None and row.principal == score]
    if score is None or not known:
        return "No run has finished yet."
    data = sorted({setting_text(row.settings.get("dataset")) for row in known})
    if len(data) > 1:
        return f"{len(known)} rows of {len(data)} data sets, whose scores do not compare: {', '.join(data)}."
    sign = 1 if score_of(score).lower_is_better else -1
    ranked = sorted(known, key=lambda row: sign * row.metrics[score].mean)
    best = ranked[0]
    title = score_of(score).title or score
    seeds = f"{len(best.runs)} seed{'s' * (len(best.runs) != 1)}"
    level = f"{mean_cell(score, best.metrics[score])}{unit(score)} over {seeds}"
    if len(known) == 1:
        return f"{row_name(best)} reaches a test {title} of {level}."
    first = f"{row_name(best)} has the best mean test {title}, {level}."
    compared = [row for row in ranked if row.difference is not None]
    return f"{first} {compared_sentence(compared, best, score) if compared else next_sentence(ranked[1], best, score)}"


def next_sentence(second: ReportRow, best: ReportRow, score: str) -> str:
    """Return how far the second row is behind, and how to learn whether that is chance."""
    gap = abs(best.metrics[score].mean - second.metrics[score].mean) * factor_of(score)
    return (
        f"{row_name(second)} is {gap:.{digits_of(score)}f}{points(score)} behind;"
        " --baseline says whether such a difference is more than chance."
    )


def compared_sentence(compared: Sequence[ReportRow], best: ReportRow, score: str) -> str:
    """Return the difference of the best row to the baseline, and how many rows have which verdict."""
    told = best if best.difference is not None else compared[0]
    difference = told.difference
    assert difference is not None
    if difference.verdict == NO_DIFFERENCE:
        text = f"No difference between {'it' if told is best else row_name(told)} and {difference.to} is shown"
    else:
        gap = f"{abs(difference.mean) * factor_of(score):.{digits_of(score)}f}{points(score)}"
        text = f"{'It' if told is best else row_name(told)} is {gap} {difference.verdict} than {difference.to}"
    text += f" (95 % interval of the difference {interval_cell(score, difference.interval).replace('-', '−')})."
    if len(compared) > 1:
        verdicts = [row.difference.verdict for row in compared if row.difference is not None]
        counts = [(verdicts.count(each), each) for each in ("better", "worse", NO_DIFFERENCE)]
        text += f" Of {len(compared)} rows: {', '.join(f'{count} {each}' for count, each in counts if count)}."
    return text


def row_name(row: ReportRow) -> str:
    """Return the settings of a row, ``neuron=lif``, or the first ones of many."""
    return shorten(title_of(row.shown), LONGEST, placeholder=" …") or row.fingerprint


def unit(score: str) -> str:
    """Return `` %`` for a score in percent."""
    return " %" if factor_of(score) == PERCENT else ""


def points(score: str) -> str:
    """Return `` points``, of percent, for a score in percent."""
    return " points" if factor_of(score) == PERCENT else ""
