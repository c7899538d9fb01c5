"""Test a run again from a bare clone, as `membrane evaluate` does: ``python scripts/evaluate.py RUN timesteps=1,2``."""

import sys

from bare_clone import run

if __name__ == "__main__":
    sys.exit(run("evaluate"))
