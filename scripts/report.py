"""Report on runs in a bare clone, as `membrane report` does: ``python scripts/report.py runs``."""

import sys

from bare_clone import run

if __name__ == "__main__":
    sys.exit(run("report"))
