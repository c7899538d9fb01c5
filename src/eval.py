"""Tell who looks for eval.py here, as in other templates, where it is."""

import sys

if __name__ == "__main__":
    print(
        "membrane: write python scripts/evaluate.py RUN, or membrane evaluate RUN, from the root of the repository",
        file=sys.stderr,
    )
    sys.exit(2)
