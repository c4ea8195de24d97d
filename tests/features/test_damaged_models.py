"""Models that hold or give NaN and infinity, that are torn, or that are other networks."""

from __future__ import annotations

import json
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from safetensors.torch import save_file as save_tensors

from realtime_kp import ModelError, SuperPoint
from realtime_kp.errors import first_line
from realtime_kp.features.checks import check_outputs
from realtime_kp.features.decode.numpy_decoder import decode_arrays
from realtime_kp.features.decode.settings import DecodeSettings
from realtime_kp.features.decode.torch_decoder import decode
from realtime_kp.features.transformers_weights import load_weights
from realtime_kp.features.weights_store import BUNDLED, bundled_models
from realtime_kp.sources import procedural_picture
from tests.apps.command import Command
from tests.conftest import child_environment

SMALL, NANO = (bundled_models()[BUNDLED[name]] for name in ("small", "nano"))
PICTURE = procedural_picture((160, 120), seed=3)
ENGINES = ["torch", "openvino"]
SCORES, DESCRIPTORS = "keypoint_decoder.conv_score_b.weight", "descriptor_decoder.conv_descriptor_b.weight"

Tensors = dict[str, NDArray[np.float32]]


def model(
    folder: Path, change: Callable[[Tensors], object] | None = None, of: Path = SMALL, **settings: Any
) -> Path:
    """A copy of a model, the small one, with other weights or settings."""
    copy = folder / "model"
    shutil.copytree(of, copy)
    if change is not None:
        stored = load_file(copy / "model.safetensors")
        tensors = {name: values.astype(np.float32) for name, values in stored.items()}
        change(tensors)
        save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((copy / "config.json").read_text(encoding="utf-8"))
    (copy / "config.json").write_text(json.dumps(config | settings), encoding="utf-8")
    return copy


def told(folder: Path, **settings: Any) -> str:
    """What is said on loading and running a model."""
    with pytest.raises(ModelError) as caught, SuperPoint(model=str(folder), **settings) as superpoint:
        superpoint(PICTURE)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", [SCORES, "encoder.conv_blocks.0.conv_a.bias"])
def test_weights_that_are_not_finite_are_refused_by_name(
    tmp_path: Path, engine: str, value: float, name: str
) -> None:
    folder = model(tmp_path, lambda tensors: tensors[name].reshape(-1).__setitem__(3, value))
    assert told(folder, engine=engine) == (
        f"{folder / 'model.safetensors'} is damaged: {name} holds NaN or infinity; "
        "get or make the model again"
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_a_residual_network_is_checked_too(tmp_path: Path, engine: str) -> None:
    name = "quarter.blocks.0.conv_b.bias"
    folder = model(tmp_path, lambda tensors: tensors[name].__setitem__(3, np.nan), NANO)
    assert f"{folder / 'model.safetensors'} is damaged: {name} holds NaN" in told(folder, engine=engine)


@pytest.mark.parametrize(
    ("change", "settings", "message"),
    [
        (lambda tensors: tensors.pop("eighth.conv.bias"), {}, "network: eighth.conv.bias is missing"),
        (None, {"descriptor_decoder_dim": 32}, "descriptor_head.2.weight has the shape"),
        (None, {"residual_blocks": [1]}, "config.json is not of a residual network: "),
        (None, {"residual_blocks": [1, "3"]}, "sizes that are not whole numbers above 0"),
        (None, {"keypoint_decoder_dim": 66}, "SuperPoint has 65 logits"),
    ],
)
def test_a_residual_network_that_does_not_fit_is_refused(
    tmp_path: Path, change: Callable[[Tensors], object] | None, settings: dict[str, Any], message: str
) -> None:
    assert message in told(model(tmp_path, change, NANO, **settings))


def test_a_residual_network_of_a_type_that_numpy_lacks_is_refused_in_a_line(tmp_path: Path) -> None:
    folder = model(tmp_path, None, NANO)
    stored = {
        name: torch.from_numpy(values) for name, values in load_file(NANO / "model.safetensors").items()
    }
    half = {name: values.bfloat16() for name, values in stored.items()}
    save_tensors(half, folder / "model.safetensors", {"format": "pt"})
    script = (
        "import sys; from realtime_kp import ModelError, SuperPoint\n"
        "try:\n    SuperPoint(model=sys.argv[1], engine='openvino').__enter__()\n"
        "except ModelError as exc:\n    print(exc)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder)],
        env=child_environment(),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    # Another package may have taught NumPy the type.
    assert done.stderr == ""
    assert not done.stdout or done.stdout.startswith(f"cannot load the weights in {folder}: ")


def test_transformers_is_not_asked_for_a_residual_network() -> None:
    with pytest.raises(
        ModelError, match="superpoint-open-nano is a residual network, which transformers does not have"
    ):
        load_weights("nano")


def test_an_8_bit_version_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    folder = model(tmp_path)
    description = (folder / "openvino_int8.xml").read_text(encoding="utf-8")
    found = re.search(r'<data element_type="f32" shape="1, \d+, 1, 1" offset="(\d+)"', description)
    assert found is not None
    with open(folder / "openvino_int8.bin", "r+b") as file:
        file.seek(int(found[1]))
        file.write(np.float32(np.nan).tobytes())
    assert told(folder, engine="openvino", precision="int8").startswith(
        f"{folder / 'openvino_int8.bin'} is damaged: "
    )


@pytest.mark.parametrize("name", ["openvino_int8.xml", "openvino_int8.bin"])
def test_an_8_bit_version_that_is_torn_is_refused(tmp_path: Path, name: str) -> None:
    folder = model(tmp_path)
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[: len(data) // 2])
    message = told(folder, engine="openvino", precision="int8")
    assert message.startswith(f"cannot load {folder / 'openvino_int8.xml'}: ")
    assert message.endswith("; make it with realtime-kp quantise")
    assert "Exception from" not in message


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", [SCORES, DESCRIPTORS])
def test_a_network_that_gives_nan_or_infinity_is_refused(tmp_path: Path, engine: str, name: str) -> None:
    def overflow(tensors: Tensors) -> None:
        for layer in (name, name.replace("_b.", "_a.")):
            tensors[layer] *= np.float32(1e25)

    assert "the network gives NaN or infinity" in told(model(tmp_path, overflow), engine=engine)


@pytest.mark.parametrize("radius", [0, 4])
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("head", ["scores", "descriptors"])
def test_a_single_number_is_noticed_by_both_decoders(radius: int, value: float, head: str) -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(2, 65, 6, 8)).astype(np.float32)
    descriptors = rng.normal(size=(2, 6, 8, 16)).astype(np.float32)
    settings = DecodeSettings(1000, radius, 0, subpixel=True, descriptor_grid="exact")

    def on_cpu() -> None:
        _, scores, found = decode_arrays(logits, descriptors, settings)
        check_outputs(scores, found[..., 0])

    def on_gpu() -> None:
        both = torch.from_numpy(logits), torch.from_numpy(descriptors)
        _, scores, found = decode(*both, settings).to_host()
        check_outputs(scores, found[..., 0])

    on_cpu()
    on_gpu()
    if head == "scores":
        logits[1, 40, 3, 5] = value
    else:
        descriptors[1, 3, 5, 7] = value
    for decoder in (on_cpu, on_gpu):
        with pytest.raises(ModelError, match="NaN or infinity"):
            decoder()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"descriptor_decoder_dim": 64}, r"conv_descriptor_b\.bias has the shape \[128\], not \[64\]"),
        ({"encoder_hidden_sizes": [16, 32]}, r"has the shape \[128, 128, 3, 3\], not \[128, 32, 3, 3\]"),
        ({"keypoint_decoder_dim": 64}, r"conv_score_b\.bias has the shape \[65\], not \[64\]"),
        ({"encoder_hidden_sizes": "x"}, r"encoder_hidden_sizes.*'x'"),
        ({"keypoint_decoder_dim": -1}, "negative dimension"),
    ],
)
def test_settings_that_do_not_fit_are_told(
    tmp_path: Path, engine: str, settings: dict[str, Any], message: str
) -> None:
    folder = model(tmp_path, **settings)
    said = told(folder, engine=engine)
    assert re.search(message, said)
    assert str(folder) in said
    assert "above report" not in said


def test_another_network_is_refused(tmp_path: Path) -> None:
    def fewer_logits(tensors: Tensors) -> None:
        for part in ("weight", "bias"):
            tensors[f"keypoint_decoder.conv_score_b.{part}"] = tensors[
                f"keypoint_decoder.conv_score_b.{part}"
            ][:64].copy()

    folder = model(tmp_path, fewer_logits, keypoint_decoder_dim=64)
    assert told(folder, engine="torch").startswith(f"{folder} is another network: ")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("one\ntwo", "one"),
        ("\n  one  \n", "one"),
        ("", "ValueError"),
        ("field 'a':\n    it is no list\nmore", "field 'a': it is no list"),
        ("Exception from src/core.cpp:84:\nCheck 'a(b)' failed at src/b.cpp:9:\nno memory\n\n", "no memory"),
        ("Exception from src/core.cpp:84:\n", "Exception from src/core.cpp:84:"),
    ],
)
def test_the_line_that_tells(text: str, line: str) -> None:
    assert first_line(ValueError(text)) == line


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits the memory as Linux does")
@pytest.mark.parametrize("engine", ENGINES)
def test_too_little_memory_for_the_size_is_told(tmp_path: Path, engine: str) -> None:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (5_000_000_000, 5_000_000_000))

    words = ["video", "demo?frames=2", "--no-video", "--tracks", "t.csv", "--resize", "8192x8192", "-q"]
    with Command(
        tmp_path, *words, "--model", "small", "--device", "cpu", "--engine", engine, prepare=limited
    ) as command:
        code, errors = command.ended(120)
    assert code == 4, errors
    last = errors.splitlines()[-1]
    assert last.startswith(f"realtime-kp: the engine {engine} cannot run the network on images of 1 x 8192 x")
    assert last.endswith("try a smaller --resize or --batch")
    assert "Exception from" not in errors
