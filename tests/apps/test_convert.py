"""`convert` through the whole command."""

from __future__ import annotations

from pathlib import Path

import pytest

from realtime_kp.cli import main

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("kind", "names"), [("onnx", ["n.onnx"]), ("openvino", ["n.bin", "n.xml"]), ("torchscript", ["n.pt"])]
)
def test_files_that_are_written(kind: str, names: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    words = ["convert", "--model", "small", "--to", kind, "-o", names[-1], "--resize", "320x240"]
    assert main(words) == 0
    assert "superpoint-open-small: n." in capsys.readouterr().out
    assert sorted(path.name for path in Path().iterdir()) == names
    assert main(words) == 5
    assert "--overwrite" in capsys.readouterr().err
    assert main([*words, "--overwrite", "--with-keypoints", "-q"]) == 0


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--to", "onnx", "-o", "n.pt"], 2, "written as .onnx"),
        (["--to", "tflite", "-o", "n.tflite"], 2, "tflite"),
        (["--to", "onnx", "-o", "n.onnx", "--resize", "640"], 2, "dynamic, or a size"),
        (["--to", "onnx", "-o", "n.onnx", "--resize", "641x480"], 2, "multiples of 8"),
        (["--to", "onnx", "-o", "n.onnx", "--max-keypoints", "500"], 2, "goes with --with-keypoints"),
        (["--to", "onnx", "-o", "n.onnx", "--precision", "int8"], 2, "int8"),
        (["--to", "onnx", "-o", "n.onnx", "--model", "none/"], 4, "unknown model"),
        (["--to", "onnx", "-o", "none/n.onnx"], 5, "none"),
        (["--to", "onnx", "-o", "n.onnx", "--with-keypoints", "--max-keypoints", "4000"], 2, "3840"),
    ],
)
def test_what_cannot_be_converted_is_one_line(
    words: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", *words]) == code
    assert told in capsys.readouterr().err
    assert list(Path().iterdir()) == []
