"""Run membrane from a bare clone: ``python train.py framework=multistep_tid``."""

import os
import sys
from pathlib import Path

source = str(Path(__file__).parent / "src")
sys.path.insert(0, source)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [source, os.environ.get("PYTHONPATH")]))

if __name__ == "__main__":
    try:
        from membrane.cli.train import main
    except ModuleNotFoundError as error:
        sys.exit(f"membrane: {error.name} is not installed here; `make setup`, then `source .venv/bin/activate`")
    sys.exit(main())
