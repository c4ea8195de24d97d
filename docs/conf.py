"""The documentation as a site: `pip install '.[docs]'`, then `sphinx-build -W docs site`."""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path

from sphinx.application import Sphinx

DOCS = Path(__file__).parent
ROOT = DOCS.parent
sys.path.insert(0, str(ROOT))

project = "realtime_kp"
author = copyright = "realtime_kp contributors"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
html_theme = "furo"
html_title = "realtime_kp"
html_static_path: list[str] = []
html_copy_source = False
exclude_patterns = ["conf.py"]
myst_heading_anchors = 4
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = True
napoleon_use_ivar = True  # the attributes of a dataclass are documented once
# What is not a page of its own here: Ray, NumPy and the like.
suppress_warnings = ["myst.header", "ref.python"]

# Papers whose home is elsewhere in the repository, and the pages that they become.
PAPERS = {
    "tests/FAULTS.md": "faults.md",
    "ARCHITECTURE.md": "architecture.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
}
CONTENTS = {
    "Use": "install live video sources settings masks-and-points lens browser fleet",
    "Results": "tables exports/index",
    "How it works": "tracking architecture api weights",
    "Measured": "benchmark accuracy comparison",
    "Help": "troubleshooting faults contributing security changelog",
}
EXPORTS = "colmap nuke 3dequalizer blender after-effects tap-vid vot ros rerun supervision"
_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)#:\s]+)(#[^)\s]*)?\)")
_REFERENCE = "## Reference\n"


def setup(app: Sphinx) -> None:
    """Add the papers, the contents, and the reference of the Python interface."""
    app.connect("config-inited", lambda app, config: _copy_papers())
    app.connect("source-read", _complete)


def _copy_papers() -> None:
    for source, page in PAPERS.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        (DOCS / page).write_text(_with_links_of_the_site(text, source, ""), encoding="utf-8")


def _complete(app: Sphinx, name: str, content: list[str]) -> None:
    """Make a page of the site out of one that reads well as it stands."""
    if f"{name}.md" not in PAPERS.values():
        content[0] = _with_links_of_the_site(content[0], f"docs/{name}.md", posixpath.dirname(name))
    if name == "index":
        content[0] += "".join(_contents(caption, pages) for caption, pages in CONTENTS.items())
    elif name == "exports/index":
        content[0] += _contents("", EXPORTS)
    elif name == "api":
        content[0] = content[0].partition(_REFERENCE)[0] + _REFERENCE + _reference()


def _contents(caption: str, pages: str) -> str:
    lines = "\n".join(pages.split())
    title = f":caption: {caption}\n" if caption else ""
    return f"\n```{{toctree}}\n:hidden:\n{title}\n{lines}\n```\n"


def _reference() -> str:
    """Every public name, documented from its docstring."""
    from realtime_kp import api

    blocks = []
    for name in sorted(api.__all__, key=str.lower):
        kind = "autoclass" if isinstance(getattr(api, name), type) else "autofunction"
        blocks.append(f"\n```{{eval-rst}}\n.. {kind}:: realtime_kp.api.{name}\n```\n")
    return "".join(blocks)


def _with_links_of_the_site(text: str, source: str, here: str) -> str:
    """Let links between papers and pages lead to pages; of other files only the name stays."""

    def on_site(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link[2]))
        place = PAPERS.get(target, target.removeprefix("docs/") if target.startswith("docs/") else None)
        if place is None:
            return link[1]
        return f"[{link[1]}]({posixpath.relpath(place, here or '.')}{link[3] or ''})"

    return _LINK.sub(on_site, text)
