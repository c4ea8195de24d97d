"""Links of the papers lead somewhere, on their own and on the site."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import realtime_kp as rk
from tests.conftest import child_environment
from tests.documentation.blocks import DOCS, ROOT

PAPERS = [*sorted(ROOT.glob("*.md")), *DOCS, ROOT / "tests/FAULTS.md"]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(page: Path) -> set[str]:
    """Anchors of the headings of a page, as GitHub makes them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAPERS, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_what_is_there(page: Path) -> None:
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{page.name} links to {link}, which is not there"
        assert not anchor or anchor in anchors(target), f"{page.name} links to {link}: no such heading"


def test_the_readme_fits_a_reader() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("furo", reason="needs pip install '.[docs]'")
    words = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "docs", str(tmp_path / "site")]
    words += ["-d", str(tmp_path / "doctrees")]
    done = subprocess.run(
        words, cwd=ROOT, env=child_environment(), capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stderr
    for page in ("index.html", "exports/colmap.html", "faults.html", "architecture.html"):
        assert (tmp_path / "site" / page).exists()
    reference = (tmp_path / "site/api.html").read_text(encoding="utf-8")
    assert all(f'id="realtime_kp.api.{name}"' in reference for name in rk.__all__ if name != "__version__")
