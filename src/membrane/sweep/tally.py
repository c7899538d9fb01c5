"""The number of a sweep's jobs that ended in each way."""

import logging
from dataclasses import dataclass

from membrane.errors import RESUMABLE

log = logging.getLogger(__name__)


@dataclass
class Tally:
    """The number of jobs by how they ended.

    ``finished_before`` ones had their result when the sweep began; ``stopped`` ones have a checkpoint from which they
    go on; ``elsewhere`` ones are being run by another process, such as the same sweep started twice.
    """

    finished: int = 0
    failed: int = 0
    pruned: int = 0
    stopped: int = 0
    finished_before: int = 0
    elsewhere: int = 0

    def log_counts(self) -> None:
        """Log all counts as one line, without those that are zero and need no mention."""
        finished = [f"{self.finished} finished"] if self.finished or not self.finished_before else []
        before = [f"{self.finished_before} finished before"] if self.finished_before else []
        counted = {"pruned": self.pruned, "stopped": self.stopped, "run by another process": self.elsewhere}
        rare = [f"{number} {name}" for name, number in counted.items() if number]
        log.info("sweep: %s", ", ".join([*finished, *before, f"{self.failed} failed", *rare]))

    def exit_code(self) -> int:
        """Return the exit code of all jobs together: 1 if one failed, else 75 if one was stopped, else 0."""
        return 1 if self.failed else RESUMABLE if self.stopped else 0
