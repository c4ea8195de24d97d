"""Names that the console cannot show, or that its library takes for something else."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime_kp.features.weights_store import BUNDLED, bundled_models
from realtime_kp.sources import procedural_picture
from tests.conftest import child_environment

# The last two are what rich calls markup and an emoji; before them a name that is no UTF-8.
NAMES = ["видео", *(["\udcff\udc80"] if sys.platform == "linux" else []), "x[/b]y", ":smile:"]
FAST = ("--model", "small", "--resize", "160", "--max-keypoints", "50")


def run(folder: Path, *words: str, encoding: str = "cp1252") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "realtime_kp", *words],
        cwd=folder,
        env=child_environment(PYTHONIOENCODING=encoding),
        capture_output=True,
        encoding=encoding,
        timeout=120,
        check=False,
    )


def escaped(name: str) -> str:
    return name.encode("cp1252", "backslashreplace").decode("cp1252")


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_every_output_is_written_and_every_message_printed(tmp_path: Path, clip: Path, name: str) -> None:
    source = tmp_path / f"{name}.mp4"
    source.parent.mkdir(exist_ok=True)
    clip.rename(source)
    outputs = {
        "-o": tmp_path / f"{name}_o.mp4",
        "--tracks": tmp_path / f"{name}.parquet",
        "--features": tmp_path / f"{name}.safetensors",
        "--summary": tmp_path / f"{name}.json",
        "--log": tmp_path / f"{name}.jsonl",
    }
    flags = [word for flag, path in outputs.items() for word in (flag, str(path.relative_to(tmp_path)))]
    done = run(tmp_path, "video", f"{name}.mp4", *flags, *FAST)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{escaped(name)}.mp4: 12 frames")
    assert f"annotated: {escaped(name)}_o.mp4" in done.stdout
    assert all(path.stat().st_size > 0 for path in outputs.values())
    assert json.loads(outputs["--summary"].read_text(encoding="utf-8"))["source"] == f"{name}.mp4"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_an_error_is_told_in_any_encoding(tmp_path: Path, encoding: str) -> None:
    for name in NAMES:
        done = run(tmp_path, "video", f"{name}.mp4", *FAST, encoding=encoding)
        assert done.returncode == 3, done.stderr
        shown = name.encode(encoding, "backslashreplace").decode(encoding)
        assert done.stderr.splitlines()[-1] == f"realtime-kp: there is no file {shown}.mp4"


def test_settings_with_such_names_are_printed_and_read_again(tmp_path: Path) -> None:
    for name in NAMES:
        printed = run(tmp_path, "video", "-o", f"{name}.mp4", "--print-config").stdout
        (tmp_path / "my.yaml").write_text(printed)
        assert run(tmp_path, "video", "--config", "my.yaml", "--print-config").stdout == printed


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every name is text")
def test_a_report_and_a_model_with_a_name_that_is_no_text(tmp_path: Path, clip: Path) -> None:
    clip.rename(tmp_path / "\udcff.mp4")
    flags = ("--frames", "4", "--warmup", "1", "--report", "\udcff.html", "--profile", "\udcff.json")
    done = run(tmp_path, "bench", "\udcff.mp4", *flags, *FAST)
    assert done.returncode == 0, done.stderr
    assert "\\udcff.mp4" in (tmp_path / "\udcff.html").read_text(encoding="utf-8")
    shutil.copytree(bundled_models()[BUNDLED["small"]], tmp_path / "\udcff")
    flags = ("--no-video", "--features", "f.safetensors", "--precision", "int8", "--resize", "160")
    done = run(tmp_path, "video", "\udcff.mp4", "--model", "\udcff", *flags)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", NAMES[:2], ids=ascii)
def test_pictures_with_such_names_are_evaluated(tmp_path: Path, name: str) -> None:
    real = tmp_path / name / "graf"
    real.mkdir(parents=True)
    for place in (real / f"{name}1.png", real / f"{name}3.png", real.parent / f"{name}.png"):
        place.write_bytes(cv2.imencode(".png", procedural_picture((160, 120), 1))[1].tobytes())
    storage = cv2.FileStorage(".xml", cv2.FILE_STORAGE_WRITE | cv2.FILE_STORAGE_MEMORY)
    storage.write("H13", np.eye(3))
    (real / "H1to3p.xml").write_text(storage.releaseAndGetString())
    done = run(tmp_path, "evaluate", "--data", name, "--model", "small", "--no-video", "--summary", "s.json")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "s.json").read_text())["pairs"] == 2
