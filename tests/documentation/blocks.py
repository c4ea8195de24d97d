"""Fenced blocks of the papers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Copies that the site's build makes of papers elsewhere.
MADE = {"architecture.md", "changelog.md", "contributing.md", "faults.md", "security.md"}
DOCS = [page for page in sorted((ROOT / "docs").rglob("*.md")) if page.name not in MADE]
PAGES = [ROOT / "README.md", *DOCS]

_FENCE = re.compile(
    r"^(?:<!-- (not run: [^>]+|test-command) -->\n)?```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block.

    Attributes:
        language: What it is written in.
        text: What it holds.
        not_run: Why it is not run; empty where it is.
    """

    language: str
    text: str
    not_run: str


def blocks_of(page: Path) -> list[Block]:
    """The blocks of a page, in order."""
    found = _FENCE.findall(page.read_text(encoding="utf-8"))
    return [Block(language, text, mark.removeprefix("not run: ")) for mark, language, text in found]
