"""Say how runs are doing from a bare clone, as `membrane status` does: ``python scripts/status.py runs --watch``."""

import sys

from bare_clone import run

if __name__ == "__main__":
    sys.exit(run("status"))
