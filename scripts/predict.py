"""Predict files in a bare clone, as `membrane predict` does: ``python scripts/predict.py RUN FILE``."""

import sys

from bare_clone import run

if __name__ == "__main__":
    sys.exit(run("predict"))
