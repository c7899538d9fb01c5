"""``python -m membrane.papers.run_copy RUNS FOLDER``: copy what a report reads of finished runs, to be kept.

Nothing in a copy tells of the machine, and of the outputs the predicted class alone is kept, which is all that paired
differences need: `membrane report` makes of copies the table that it makes of the runs.
"""

import io
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from membrane.errors import ConfigError
from membrane.files import durable
from membrane.papers.record import METRICS, copy_run
from membrane.runs.saved import RESULT

OUTPUTS = "outputs/test.npz"


def copy_runs(runs: Path, folder: Path) -> None:
    """Copy the finished runs of one configuration to ``folder/seed<k>``.

    Raises ConfigError if there are none, or if they are of several configurations.
    """
    finished = sorted(path.parent for path in runs.glob(f"**/seed*/{RESULT}"))
    if not finished or len({run.parent for run in finished}) > 1:
        raise ConfigError(f"{runs}: expected finished runs of one configuration")
    for run in finished:
        copy_run(run, folder / run.name, METRICS)
        copy_predictions(run / OUTPUTS, folder / run.name / OUTPUTS)


def copy_predictions(outputs: Path, path: Path) -> None:
    """Copy a run's test.npz with 1 in place of the highest output of a sample and 0 in place of the others, [n,K]."""
    with np.load(outputs, allow_pickle=False) as file:
        arrays = dict(file)
    output = arrays["output"]
    arrays["output"] = np.eye(output.shape[1], dtype=np.uint8)[output.argmax(1)]
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **arrays)
    durable.write_whole(path, lambda file: file.write(content.getvalue()))


def copy_command(arguments: Sequence[str]) -> None:
    """Copy the runs below the folder that is named first to the second."""
    runs, folder = map(Path, arguments)
    copy_runs(runs, folder)


if __name__ == "__main__":
    copy_command(sys.argv[1:])
