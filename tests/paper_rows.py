"""A row of a paper and results of it, written by hand."""

from typing import Any

from membrane.papers.registry import PaperRow
from membrane.schema.paper import Paper


def row(**changes: Any) -> PaperRow:
    settings = {
        "citation": "A. Author 2020",
        "row": "table 1, row 2",
        "source": "the paper",
        "protocol": "paper_best_on_test",
        "published": {"best": 0.9},
        "compared": "best",
        "band": [0.85, 0.95],
        "seeds": 2,
    }
    return PaperRow("paper/row", Paper.model_validate({**settings, **changes}))


def result(**metrics: float | None) -> dict[str, Any]:
    return {"metrics": {key.replace("__", "/"): value for key, value in metrics.items()}}
