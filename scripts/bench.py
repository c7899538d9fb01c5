"""Time training steps from a bare clone, as `membrane bench` does: ``python scripts/bench.py W4 --rounds 3``."""

import sys

from bare_clone import run

if __name__ == "__main__":
    sys.exit(run("bench"))
