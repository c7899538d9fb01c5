"""The number of a sweep's jobs that ended in each way."""

import logging
from dataclasses import dataclass

from membrane.errors import RESUMABLE

log = logging.getLogger(__name__)


@dataclass
class Tally:
    """The number of jobs by how they ended; ``stopped`` ones have a checkpoint from which they go on."""

    finished: int = 0
    failed: int = 0
    pruned: int = 0
    stopped: int = 0

    def log_counts(self) -> None:
        """Log all counts as one line, without those of pruned and stopped jobs where they are zero."""
        rare = [f", {number} {name}" for name, number in (("pruned", self.pruned), ("stopped", self.stopped)) if number]
        log.info("sweep: %d finished, %d failed%s", self.finished, self.failed, "".join(rare))

    def exit_code(self) -> int:
        """Return the exit code of all jobs together: 1 if one failed, else 75 if one was stopped, else 0."""
        return 1 if self.failed else RESUMABLE if self.stopped else 0
