from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from realtime_kp import ModelError, SuperPoint
from realtime_kp.features.engines.openvino_engine import openvino_problem
from realtime_kp.features.engines.openvino_graph import network_graph
from realtime_kp.features.models import find_model
from realtime_kp.features.transformers_weights import load_weights
from realtime_kp.features.weight_arrays import plain_weights
from realtime_kp.features.weights_store import bundled_models
from realtime_kp.machine import may_have_gpu
from realtime_kp.sources import procedural_picture
from tests.conftest import child_environment

pytestmark = pytest.mark.skipif(openvino_problem() is not None, reason="OpenVINO is not installed")

SMALL = bundled_models()["superpoint-open-small"]
SCRIPT = """
import sys
from realtime_kp import track
frames = list(track("demo:?frames=3&size=320x240", model=sys.argv[1], engine="openvino"))
assert len(frames[-1].tracks) > 20, frames
sys.exit(", ".join({"torch", "transformers"} & set(sys.modules)) or 0)
"""


def copied(folder: Path, **settings: object) -> Path:
    shutil.copytree(SMALL, folder)
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))
    return folder


def config_of(folder: Path) -> dict[str, object]:
    return dict(json.loads((folder / "config.json").read_text()))


@pytest.mark.slow
@pytest.mark.parametrize("model", ["nano", "small", "base"])
@pytest.mark.parametrize("size_wh", [(128, 96), (200, 136)])
def test_the_graph_computes_what_the_network_does(model: str, size_wh: tuple[int, int]) -> None:
    import openvino

    found = find_model(model)
    grey = np.stack([cv2.cvtColor(procedural_picture(size_wh, i), cv2.COLOR_BGR2GRAY) for i in range(2)])
    graph = network_graph(found.arrays())
    compiled = openvino.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    with torch.inference_mode():
        wanted = found.network()(torch.from_numpy(grey))
    for ours, theirs in zip(compiled([grey]).values(), wanted, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-4)


@pytest.mark.slow
@pytest.mark.skipif(may_have_gpu(), reason="torch must look for the GPU")
@pytest.mark.parametrize("folder", [False, True])
def test_neither_torch_nor_transformers_is_loaded(tmp_path: Path, folder: bool) -> None:
    model = str(copied(tmp_path / "copy")) if folder else "small"
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT, model],
        env=child_environment(),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert found.returncode == 0, found.stderr


def test_weights_are_read_as_transformers_reads_them() -> None:
    ours, theirs = plain_weights(SMALL, config_of(SMALL)), load_weights("small").model.state_dict()
    assert ours is not None
    assert set(ours) == set(theirs)
    assert all(np.array_equal(ours[name], theirs[name].numpy()) for name in ours)


def test_the_border_is_that_of_the_folder(tmp_path: Path) -> None:
    folder = copied(tmp_path / "copy", border_removal_distance=8)
    with SuperPoint(model=str(folder), resize="128", device="cpu", engine="openvino") as superpoint:
        assert float(superpoint(procedural_picture((128, 96), 1)).xy.min()) >= 7


def test_unusual_folders_are_left_to_transformers(tmp_path: Path) -> None:
    folder = copied(tmp_path / "copy")
    weights = load_file(folder / "model.safetensors")
    half = {name: values.bfloat16() for name, values in weights.items()}
    save_file(half, folder / "model.safetensors", {"format": "pt"})
    # NumPy has no bfloat16, unless a package that brings it was imported before.
    found = plain_weights(folder, config_of(folder))
    assert found is None or all(np.array_equal(found[k], v.float().numpy()) for k, v in half.items())
    with SuperPoint(model=str(folder), resize="128", device="cpu", engine="openvino") as superpoint:
        assert len(superpoint(procedural_picture((128, 96), 1))) > 20


@pytest.mark.parametrize("settings", [{"decoder_hidden_size": 64}, {"encoder_hidden_sizes": [16, 32]}])
def test_settings_that_do_not_fit_the_weights_are_told(tmp_path: Path, settings: dict[str, object]) -> None:
    folder = copied(tmp_path / "copy", **settings)
    with pytest.raises(ModelError, match="config"), SuperPoint(model=str(folder), engine="openvino"):
        pass
