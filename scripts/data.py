"""List and fetch data sets from a bare clone, as `membrane data` does: ``python scripts/data.py nmnist``."""

import sys

from bare_clone import run

if __name__ == "__main__":
    sys.exit(run("data"))
