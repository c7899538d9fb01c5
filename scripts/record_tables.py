"""Write the tables of README.md and docs/ anew from records/, as `membrane report records --papers` prints them."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from membrane.papers.entry import read_entry  # noqa: E402 the package lies beside this file
from membrane.papers.registry import paper_rows  # noqa: E402
from membrane.report.claims import HELD, with_tables  # noqa: E402


def main() -> None:
    """Write each page that holds a table."""
    unread: list[str] = []
    entries = [read_entry(ROOT / "records", row, unread) for row in paper_rows(ROOT / "conf" / "experiment")]
    if unread:
        sys.exit(f"nothing was written: {unread[0]}")
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = page.read_text(encoding="utf-8")
        if HELD.search(text) and (written := with_tables(text, entries)) != text:
            page.write_text(written, encoding="utf-8")
            print(page.relative_to(ROOT))


if __name__ == "__main__":
    main()
