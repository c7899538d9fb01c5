"""``python -m membrane ARGUMENTS`` is ``membrane-train ARGUMENTS``."""

import sys

from membrane.cli.train import main

if __name__ == "__main__":
    sys.argv[0] = "membrane-train"  # what provenance.json calls the program
    sys.exit(main())
