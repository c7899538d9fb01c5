"""List what there is to choose from in a bare clone, as `membrane models` does: ``python scripts/models.py lif``."""

import sys

from bare_clone import run

if __name__ == "__main__":
    sys.exit(run("models"))
