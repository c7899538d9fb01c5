"""Train what a paper trained, in a bare clone, as `membrane reproduce` does: ``python scripts/reproduce.py --list``."""

import sys

from bare_clone import run

if __name__ == "__main__":
    sys.exit(run("reproduce"))
