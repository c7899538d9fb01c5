"""Tell who looks for train.py here, as in other templates, where it is."""

import sys

if __name__ == "__main__":
    print("membrane: write python train.py, or membrane train, from the root of the repository", file=sys.stderr)
    sys.exit(2)
