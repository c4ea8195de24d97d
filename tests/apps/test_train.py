from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime_kp.cli import main
from realtime_kp.sources import procedural_picture


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), procedural_picture((352, 352), 0))
    return folder


@pytest.mark.slow
def test_training_writes_a_model_that_the_product_runs_and_goes_on(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["train", "--images", str(images), "--out", str(out), "--arch", "small", "--batch", "1", "-q"]
    assert main([*command, "--steps", "3"]) == 0
    assert (out / "model" / "model.safetensors").is_file()
    assert json.loads((out / "losses.jsonl").read_text().splitlines()[-1])["step"] == 3
    before = (out / "model" / "model.safetensors").read_bytes()
    assert main([*command, "--steps", "3"]) == 2  # a checkpoint is there
    assert main([*command, "--resume"]) == 0
    assert (out / "model" / "model.safetensors").read_bytes() == before
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


def test_what_is_no_checkpoint_cannot_be_started_from(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.pt"
    other.write_bytes(b"no checkpoint")
    command = ["train", "--images", str(images), "--out", str(tmp_path / "out"), "--arch", "small"]
    assert main([*command, "--steps", "1", "--start-from", str(other), "-q"]) == 4
    assert "other.pt is nothing to start from" in capsys.readouterr().err


def test_nothing_to_resume_is_told(images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--images", str(images), "--out", str(tmp_path / "out"), "--resume"]) == 2
    assert "nothing to resume" in capsys.readouterr().err


def test_missing_images_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--images", str(tmp_path / "none"), "--out", str(tmp_path / "out")]) == 3
    assert "none is not there" in capsys.readouterr().err


def test_minutes_and_steps_exclude_each_other(images: Path, tmp_path: Path) -> None:
    arguments = ["--images", str(images), "--out", str(tmp_path / "out"), "--steps", "3", "--minutes", "1"]
    assert main(["train", *arguments]) == 2
