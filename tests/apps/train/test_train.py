from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from realtime_kp.cli import main
from realtime_kp.features.transformers_weights import load_weights
from realtime_kp.sources import procedural_picture
from realtime_kp.training.images import Tiles, load_tiles
from realtime_kp.training.labels import Labels
from realtime_kp.training.rooms import RoomTiles, room_tiles
from realtime_kp.training.shapes import draw_tiles
from tests.conftest import child_environment, within


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), procedural_picture((352, 352), 0))
    return folder


def shared_with_small(out: Path) -> tuple[set[str], set[str]]:
    """Names of all weights, and of those that training left as the bundled small network has them."""
    shipped = load_weights("small").model.state_dict()
    taught = load_weights(str(out / "model")).model.state_dict()
    kept = {name for name in shipped if torch.allclose(shipped[name], taught[name], atol=1e-3, rtol=1e-3)}
    return set(shipped), kept


@pytest.mark.slow
def test_training_writes_a_model_that_the_product_runs_and_goes_on(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["train", "--images", str(images), "--out", str(out), "--arch", "small", "--batch", "1", "-q"]
    assert main([*command, "--steps", "3"]) == 0
    assert (out / "model" / "model.safetensors").is_file()
    assert json.loads((out / "losses.jsonl").read_text().splitlines()[-1])["step"] == 3
    before = (out / "model" / "model.safetensors").read_bytes()
    assert main([*command, "--steps", "3"]) == 2  # a checkpoint is there
    (out / "model" / "openvino_int8.xml").write_text("of other weights")
    assert main([*command, "--resume"]) == 0
    assert (out / "model" / "model.safetensors").read_bytes() == before
    assert not (out / "model" / "openvino_int8.xml").exists()
    video = ["video", "demo", "--max-frames", "2", "--no-video", "--model", str(out / "model"), "-q"]
    assert main([*video, "--tracks", str(tmp_path / "t.csv")]) == 0


@pytest.mark.slow
def test_base_starts_from_small_with_labels_of_a_network(images: Path, tmp_path: Path) -> None:
    small, base = tmp_path / "small", tmp_path / "base"
    command = ["train", "--images", str(images), "--steps", "1", "--batch", "1", "-q"]
    assert main([*command, "--arch", "small", "--out", str(small)]) == 0
    further = ["--start-from", str(small / "checkpoint.pt"), "--labels-from", "small", "--rate", "1e-3"]
    assert main([*command, "--arch", "base", "--out", str(base), *further]) == 0
    assert (base / "model" / "model.safetensors").is_file()
    with np.load(small / "labels.npz") as blobs, np.load(base / "labels.npz") as keypoints:
        assert not np.array_equal(blobs["xy"], keypoints["xy"])
    losses = json.loads((base / "losses.jsonl").read_text())
    assert losses["detection"] > 0
    assert losses["agreement"] > 0
    before = (base / "labels.npz").read_bytes()
    assert main(["train", "--images", str(images), "--out", str(base), "--resume", "-q"]) == 0
    assert (base / "labels.npz").read_bytes() == before


@pytest.mark.slow
def test_drawn_shapes_stand_beside_the_pictures_also_when_resumed(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []

    def recorded(*arguments: Any) -> tuple[Tiles, Labels]:
        drawn.append(draw_tiles(*arguments))
        return drawn[-1]

    monkeypatch.setattr("realtime_kp.training.shapes.draw_tiles", recorded)
    command = ["train", "--images", str(images), "--out", str(tmp_path / "out"), "--arch", "small"]
    assert main([*command, "--steps", "1", "--batch", "1", "--shapes", "3", "--seed", "2"]) == 0
    assert "4 tiles" in capsys.readouterr().err
    assert main([*command, "--resume"]) == 0
    assert "4 tiles" in capsys.readouterr().err
    np.testing.assert_array_equal(drawn[0][0], drawn[1][0])
    assert main([*command, "--resume", "--shapes", "5"]) == 2
    assert "--shapes 5 with --resume: this training began with 3" in capsys.readouterr().err


@pytest.mark.slow
def test_shapes_alone_need_no_labels_of_the_pictures_also_when_resumed(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unwanted(*arguments: Any, **named: Any) -> Labels:
        raise AssertionError("pictures were labelled")

    monkeypatch.setattr("realtime_kp.training.labels.label_tiles", unwanted)
    out = tmp_path / "out"
    command = ["train", "--images", str(images), "--out", str(out), "--arch", "small"]
    assert main([*command, "--steps", "1", "--batch", "1", "--shapes", "3", "--shapes-alone"]) == 0
    assert "3 tiles" in capsys.readouterr().err
    assert main([*command, "--resume"]) == 0
    assert "3 tiles" in capsys.readouterr().err
    cv2.imwrite(str(images / "a.png"), procedural_picture((352, 352), 1))
    assert main([*command, "--resume"]) == 2
    assert "not the images" in capsys.readouterr().err
    assert main(["train", "--images", str(images), "--out", str(tmp_path / "other"), "--shapes-alone"]) == 2
    assert "shapes_alone needs shapes above 0" in capsys.readouterr().err


@pytest.mark.slow
def test_rooms_stand_beside_the_pictures_also_when_resumed(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def recorded(*arguments: Any) -> RoomTiles:
        made.append(room_tiles(*arguments))
        return made[-1]

    monkeypatch.setattr("realtime_kp.training.rooms.room_tiles", recorded)
    command = ["train", "--images", str(images), "--out", str(tmp_path / "out"), "--arch", "nano", "-q"]
    assert main([*command, "--rooms", "3"]) == 2
    assert "rooms have no labels" in capsys.readouterr().err
    assert main([*command, "--rooms", "3", "--steps", "1", "--batch", "2", "--teacher", "small"]) == 0
    assert main([*command, "--resume"]) == 0
    assert torch.equal(made[0].images, made[1].images)
    assert torch.equal(made[0].planes, made[1].planes)
    assert main([*command, "--resume", "--rooms", "5"]) == 2
    assert "--rooms 5 with --resume: this training began with 3" in capsys.readouterr().err


@pytest.mark.slow
def test_descriptors_alone_go_on_from_a_network_without_labels(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ["train", "--images", str(images), "--out", str(out), "--arch", "small", "-q", "--batch", "1"]
    assert main([*command, "--steps", "1", "--descriptors-alone"]) == 2
    assert "descriptors_alone needs start_from" in capsys.readouterr().err
    both = ["--descriptors-alone", "--start-from", "small", "--found", "0.5"]
    assert main([*command, "--steps", "1", *both]) == 2
    assert "found needs labels" in capsys.readouterr().err
    assert main([*command, "--steps", "1", "--descriptors-alone", "--start-from", "small"]) == 0
    assert main([*command, "--resume"]) == 0
    with np.load(out / "labels.npz") as labels:
        assert not labels["mass"].any()
    names, kept = shared_with_small(out)
    assert {name for name in names if not name.startswith("descriptor_decoder")} <= kept


@pytest.mark.slow
def test_frozen_blocks_are_what_training_starts_from(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ["train", "--images", str(images), "--out", str(out), "--arch", "small", "-q", "--batch", "1"]
    frozen = ["--steps", "1", "--frozen-blocks", "2", "--zoom", "0.8"]
    assert main([*command, *frozen]) == 2
    assert "frozen_blocks needs start_from" in capsys.readouterr().err
    assert main([*command, *frozen, "--start-from", "small", "--rate", "1e-2"]) == 0
    assert main([*command, "--resume"]) == 0
    names, kept = shared_with_small(out)
    frozen_names = {
        name for name in names if name.startswith(("encoder.conv_blocks.0", "encoder.conv_blocks.1"))
    }
    assert frozen_names <= kept < names
    assert main([*command, "--resume", "--zoom", "0.5"]) == 2
    assert "--zoom 0.5 with --resume: this training began with 0.8" in capsys.readouterr().err


@pytest.mark.slow
def test_what_contradicts_the_training_cannot_be_resumed(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ["train", "--out", str(out), "-q", "--images"]
    assert main([*command, str(images), "--arch", "small", "--steps", "1", "--batch", "1"]) == 0
    assert main([*command, str(images), "--resume", "--rate", "1e-3"]) == 2
    assert "--rate 0.001 with --resume: this training began with 0.002" in capsys.readouterr().err
    assert main([*command, str(images), "--resume", "--labels-from", "small"]) == 2
    assert "began with labels of blobs" in capsys.readouterr().err
    other = tmp_path / "b.png"
    cv2.imwrite(str(other), procedural_picture((352, 352), 1))
    assert main([*command, str(other), "--resume"]) == 2
    assert "not the images" in capsys.readouterr().err
    (out / "labels.npz").write_bytes(b"torn")
    assert main([*command, str(images), "--resume"]) == 2
    assert "labels.npz is not there or damaged" in capsys.readouterr().err


@pytest.mark.slow
def test_ctrl_c_while_labelling_ends_in_one_line(images: Path, tmp_path: Path) -> None:
    for seed in range(30):
        cv2.imwrite(str(images / f"{seed}.png"), procedural_picture((352, 352), seed))
    command = [sys.executable, "-m", "realtime_kp", "train", "--images", str(images), "--out", str(tmp_path)]
    training = subprocess.Popen(
        command, env=child_environment(), stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert within(60, lambda: workers_that_ignore_ctrl_c(training.pid) == 2)
        os.killpg(training.pid, signal.SIGINT)
        _, told = training.communicate(timeout=60)
    finally:
        training.kill()
    assert training.returncode == 130
    assert "Traceback" not in told
    assert "stopped while labelling" in told
    assert not (tmp_path / "labels.npz").exists()


def workers_that_ignore_ctrl_c(pid: int) -> int:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    commands = [Path(f"/proc/{child}/cmdline").read_bytes() for child in children]
    workers = [child for child, command in zip(children, commands, strict=True) if b"spawn_main" in command]
    masks = [Path(f"/proc/{worker}/status").read_text().split("SigIgn:")[1].split()[0] for worker in workers]
    return sum(bool(int(mask, 16) & 1 << signal.SIGINT - 1) for mask in masks)


def test_what_is_no_checkpoint_cannot_be_started_from(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.pt"
    other.write_bytes(b"no checkpoint")
    command = ["train", "--images", str(images), "--out", str(tmp_path / "out"), "--arch", "small"]
    assert main([*command, "--steps", "1", "--start-from", str(other), "-q"]) == 4
    assert "other.pt cannot be started from" in capsys.readouterr().err


def test_nothing_to_resume_is_told(images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--images", str(images), "--out", str(tmp_path / "out"), "--resume"]) == 2
    assert "nothing to resume" in capsys.readouterr().err


def test_odd_files_among_the_images(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "folder.jpg").mkdir()
    cv2.imwrite(str(tmp_path / "good.png"), procedural_picture((352, 352), 0))
    assert len(load_tiles([tmp_path])) == 1


def test_missing_images_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--images", str(tmp_path / "none"), "--out", str(tmp_path / "out")]) == 3
    assert "none is not there" in capsys.readouterr().err


def test_minutes_and_steps_exclude_each_other(images: Path, tmp_path: Path) -> None:
    arguments = ["--images", str(images), "--out", str(tmp_path / "out"), "--steps", "3", "--minutes", "1"]
    assert main(["train", *arguments]) == 2


@pytest.mark.slow
def test_nano_learns_from_a_teacher_without_labels_also_when_resumed(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ["train", "--images", str(images), "--out", str(out), "--arch", "nano", "-q", "--batch", "1"]
    taught = ["--steps", "2", "--teacher", "small"]
    assert main([*command, *taught, "--labels-from", "small"]) == 2
    assert "teacher replaces the labels: leave labels_from out" in capsys.readouterr().err
    assert main([*command, *taught]) == 0
    with np.load(out / "labels.npz") as labels:
        assert not labels["mass"].any()
    assert json.loads((out / "losses.jsonl").read_text())["imitation"] > 0
    assert main([*command, "--resume", "--teacher", "base"]) == 2
    assert "--teacher base with --resume: this training began with small" in capsys.readouterr().err
    assert main([*command, "--resume"]) == 0
    video = ["video", "demo", "--max-frames", "2", "--no-video", "--model", str(out / "model"), "-q"]
    assert main([*video, "--tracks", str(tmp_path / "t.csv")]) == 0
