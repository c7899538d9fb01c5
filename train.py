"""Train from a bare clone: ``python train.py ARGUMENTS`` is ``membrane train ARGUMENTS``."""

import os
import sys
from pathlib import Path

source = str(Path(__file__).parent / "src")
sys.path.insert(0, source)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [source, os.environ.get("PYTHONPATH")]))

if __name__ == "__main__":
    from membrane.cli.main import main

    sys.exit(main(["train", *sys.argv[1:]]))
