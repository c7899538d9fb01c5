"""``python -m membrane.bench ARGUMENTS`` is ``membrane-bench ARGUMENTS``."""

import sys

from membrane.bench.command import main

if __name__ == "__main__":
    sys.exit(main())
