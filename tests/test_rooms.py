"""The order of the rooms: each imports only from rooms above it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import realtime_kp

PACKAGE = Path(realtime_kp.__file__).parent
ROOMS = (
    "errors",
    "lens",
    "frame",
    "timing",
    "machine",
    "keypoints",
    "config",
    "sources",
    "features",
    "tracking",
    "reference",
    "pipeline",
    "render",
    "sinks",
    "exports",
    "serve",
    "evaluation",
    "bench",
    "training",
    "many",
    "api",
    "apps",
    "cli",
    "__main__",
)
MODULES = sorted(PACKAGE.rglob("*.py"))


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def imported_rooms(path: Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            if (node.module or "").split(".")[0] == "realtime_kp":
                rooms.add(room_of(node.module or ""))
        elif isinstance(node, ast.Import):
            rooms |= {room_of(alias.name) for alias in node.names if alias.name.startswith("realtime_kp")}
    return rooms


def module_name(path: Path) -> str:
    parts = ("realtime_kp", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(path: Path) -> set[str]:
    """Modules of the package that a module names in its imports, itself and its own room's index left out."""
    names = {module_name(each) for each in MODULES}
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("realtime_kp"):
            inside = {f"{node.module}.{alias.name}" for alias in node.names} & names
            found |= inside or {str(node.module)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} & names
    own = module_name(path)
    return found - {own, "realtime_kp"}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_room_imports_only_from_rooms_above(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if own == "__init__":
        assert imported_rooms(path) <= {"api"}
        return
    for room in imported_rooms(path) - {own, ""}:
        assert ROOMS.index(room) < ROOMS.index(own), f"{own} imports from {room}, which stands below it"


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Also through imports for type checkers only, and inside functions."""
    remaining = {module_name(path): imported_modules(path) for path in MODULES}
    while leaves := {name for name, imported in remaining.items() if not imported & remaining.keys()}:
        remaining = {name: imported for name, imported in remaining.items() if name not in leaves}
    assert not remaining, f"these modules import each other: {sorted(remaining)}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_module_is_longer_than_300_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


def test_every_room_is_listed() -> None:
    found = {
        p.name.removesuffix(".py")
        for p in PACKAGE.iterdir()
        if p.suffix == ".py" or (p / "__init__.py").exists()
    }
    assert found - {"__init__"} == set(ROOMS)


def test_tests_mirror_the_rooms() -> None:
    folders = {p.name for p in PACKAGE.iterdir() if (p / "__init__.py").exists()}
    assert folders <= {p.name for p in Path(__file__).parent.iterdir()}


@pytest.mark.parametrize("module", ["realtime_kp", "realtime_kp.cli", "realtime_kp.apps.video.command"])
def test_importing_loads_no_heavy_library(module: str) -> None:
    code = (
        f"import {module}, sys; heavy = {{'torch', 'transformers', 'openvino'}} & set(sys.modules); "
        "sys.exit(', '.join(heavy) or 0)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert found.returncode == 0, found.stderr


def test_every_public_name_exists() -> None:
    for name in realtime_kp.__all__:
        assert getattr(realtime_kp, name) is not None


def test_the_table_of_faults_names_tests_that_exist() -> None:
    folder = Path(__file__).parent
    text = (folder / "FAULTS.md").read_text(encoding="utf-8")
    for name in re.findall(r"`([\w/]+\.py)", text):
        assert (folder / name).is_file(), name
    tests = {
        name
        for path in folder.rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    named = set(re.findall(r"::(test_\w+)", text))
    assert len(named) > 30
    assert named <= tests, named - tests


def test_the_architecture_names_files_that_exist() -> None:
    text = (PACKAGE.parent / "ARCHITECTURE.md").read_text(encoding="utf-8")
    changes = text.partition("## Where to make a change")[2]
    places = [name.rstrip("/") for name in re.findall(r"`([a-z_]+/[\w/]*(?:\.py)?)`", changes)]
    assert len(places) > 20
    for place in places:
        assert (PACKAGE / place).exists() or (PACKAGE.parent / place).exists(), place
