from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from realtime_kp import Keypoints, SuperPoint
from realtime_kp.features.engines import model_cache
from realtime_kp.features.engines.model_cache import FOLDER_VARIABLE
from realtime_kp.features.engines.openvino_engine import openvino_problem
from realtime_kp.features.weights_store import bundled_models
from realtime_kp.machine import may_have_gpu
from realtime_kp.sources import procedural_picture
from tests.conftest import child_environment

pytestmark = pytest.mark.skipif(openvino_problem() is not None, reason="OpenVINO is not installed")

SMALL = bundled_models()["superpoint-open-small"]
PICTURE = procedural_picture((128, 96), 1)
SCRIPT = """
import sys
import numpy as np
from realtime_kp import SuperPoint
with SuperPoint(model="small", resize="128", device="cpu", engine="openvino") as superpoint:
    superpoint(np.zeros((96, 128, 3), np.uint8))
print("transformers" in sys.modules)
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def find(model: Path | str = "small") -> Keypoints:
    with SuperPoint(
        model=str(model), resize="128", device="cpu", engine="openvino", precision="fp32"
    ) as superpoint:
        return superpoint(PICTURE)


def kept(cache: Path) -> list[Path]:
    return sorted(path.parent for path in cache.glob("*/graph.xml"))


def test_what_was_converted_once_needs_no_transformers_again(cache: Path) -> None:
    seen = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env=child_environment(**{FOLDER_VARIABLE: str(cache)}),
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        seen.append(done.stdout.strip())
    assert seen == ["True", "False"]
    assert len(kept(cache)) == 1


def test_the_kept_network_gives_the_same(cache: Path) -> None:
    first = find()
    assert len(kept(cache)) == 1
    again = find()
    np.testing.assert_allclose(again.xy, first.xy, atol=1e-3)
    np.testing.assert_allclose(again.descriptors, first.descriptors, atol=1e-4)
    assert not list(cache.glob("partial-*"))


def test_other_weights_and_other_settings_are_other_networks(cache: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(SMALL, copy)
    find(copy)
    find("small")
    assert len(kept(cache)) == 1  # the same weights, wherever they lie
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "border_removal_distance": 8}))
    assert float(find(copy).xy.min()) >= 7
    assert len(kept(cache)) == 2


def test_a_broken_file_is_made_anew(cache: Path) -> None:
    expected = find()
    (graph,) = kept(cache)
    (graph / "graph.xml").write_text("<net")
    np.testing.assert_allclose(find().xy, expected.xy, atol=1e-3)
    assert "</net>" in (graph / "graph.xml").read_text()


def test_without_a_place_to_write_it_works_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "file"))
    assert len(find()) > 0


def test_the_oldest_go_first(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_cache, "MAX_MODELS", 2)
    names = []
    for border in (4, 5, 6):
        copy = tmp_path / f"model{border}"
        shutil.copytree(SMALL, copy)
        config = json.loads((copy / "config.json").read_text())
        (copy / "config.json").write_text(json.dumps({**config, "border_removal_distance": border}))
        find(copy)
        names.append(set(kept(cache)))
    assert len(names[-1]) == 2
    assert not names[0] & names[-1]


@pytest.mark.slow
@pytest.mark.skipif(may_have_gpu(), reason="torch must look for the GPU")
def test_a_converted_network_runs_without_torch() -> None:
    code = (
        "import sys; from realtime_kp import track; "
        "frames = list(track('demo:?frames=3', model='small', engine='openvino')); "
        "assert len(frames[-1].tracks), frames; "
        "sys.exit(', '.join({'torch', 'transformers'} & set(sys.modules)) or 0)"
    )
    for attempt in range(2):
        found = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False
        )
        if attempt:  # by then it is converted
            assert found.returncode == 0, found.stderr
