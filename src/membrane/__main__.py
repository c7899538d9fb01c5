"""``python -m membrane COMMAND [ARGUMENTS]`` is ``membrane COMMAND [ARGUMENTS]``."""

import sys

from membrane.cli.main import main

if __name__ == "__main__":
    sys.argv[0] = "membrane"  # what argparse and Hydra's completion call the program
    sys.exit(main())
