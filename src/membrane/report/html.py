"""A report as one HTML file: everything is in it, nothing is fetched, and only its own script may run."""

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from membrane import __version__
from membrane.report.formats import MINUS

PAGE = Path(__file__).parent / "page"


def render_page(content: Mapping[str, Any], watched: str = "") -> str:
    """Return the page; ``watched`` is the state that a page which is served compares with the server's, to refresh."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(PAGE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"signs": true_minus, "breakable": breakable_name}
    scripts = [read_asset("uPlot.iife.min.js"), read_asset("page.js")]
    styles = [read_asset("uPlot.min.css"), read_asset("page.css")]
    return environment.get_template("page.html").render(
        content,
        data=script_json({**content["data"], "watched": watched}),
        scripts=scripts,
        styles=styles,
        licence=read_asset("uPlot.LICENSE").strip(),
        policy=content_policy(scripts, styles, bool(watched)),
        version=__version__,
    )


def true_minus(text: str) -> str:
    """Return text with minus signs for the hyphens before numbers; intervals do not break."""
    return MINUS.sub("−", text).replace(", ", ",\u00a0")


def breakable_name(text: str) -> str:
    """Return a setting's name that may break behind its dots and dashes."""
    return text.replace(".", ".\u200b").replace("_", "_\u200b")


def read_asset(name: str) -> str:
    """Return a file of the page."""
    return (PAGE / name).read_text(encoding="utf-8")


def script_json(value: Any) -> str:
    """Return JSON that can stand in a script element: no text in it can end that, or begin a comment."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def content_policy(scripts: list[str], styles: list[str], served: bool) -> str:
    """Return the Content-Security-Policy: scripts and styles by their digests, no request but a served page's own."""
    parts = ["default-src 'none'", "base-uri 'none'", "form-action 'none'"]
    parts.append(f"script-src {' '.join(map(source_digest, scripts))}")
    parts.append(f"style-src {' '.join(map(source_digest, styles))}")
    return "; ".join([*parts, "connect-src 'self'"] if served else parts)


def source_digest(text: str) -> str:
    """Return the digest by which a policy names an inline script or style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
