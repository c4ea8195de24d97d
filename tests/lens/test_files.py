from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime_kp.errors import ConfigError
from realtime_kp.lens import Lens, lens_text, open_lens_file, read_lens

SIZE_WH, FOCAL, CENTRE = (640, 480), (500.25, 505.5), (319.75, 239.125)
RADIAL = Lens(SIZE_WH, FOCAL, CENTRE, (-0.28, 0.07, 0.001, -0.0005, 1e-05))
FISHEYE = Lens(SIZE_WH, FOCAL, CENTRE, (0.02, -0.01, 0.003, -0.001), "fisheye")
PINHOLE = Lens(SIZE_WH, FOCAL, CENTRE)

KALIBR = """
cam0:
  camera_model: pinhole
  distortion_model: radtan
  distortion_coeffs: [-0.28, 0.07, 0.001, -0.0005]
  intrinsics: [500.25, 505.5, 319.75, 239.125]
  resolution: [640, 480]
  rostopic: /cam0/image_raw
cam1:
  T_cn_cnm1: [[1, 0, 0, 0.1], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
  camera_model: pinhole
  distortion_model: equidistant
  distortion_coeffs: [0.02, -0.01, 0.003, -0.001]
  intrinsics: [500.25, 505.5, 319.75, 239.125]
  resolution: [640, 480]
cam2:
  camera_model: ds
  intrinsics: [0.1, 0.5, 500, 500, 320, 240]
  resolution: [640, 480]
"""
ROS = """
image_width: 640
image_height: 480
camera_name: head
camera_matrix: {rows: 3, cols: 3, data: [500.25, 0, 319.75, 0, 505.5, 239.125, 0, 0, 1]}
distortion_model: %s
distortion_coefficients: {rows: 1, cols: %d, data: %s}
"""
# The centre of COLMAP's top left pixel is at (0.5, 0.5).
COLMAP = {
    "SIMPLE_PINHOLE 640 480 500.25 320.25 239.625": ((500.25, 500.25), (), "radial-tangential"),
    "PINHOLE 640 480 500.25 505.5 320.25 239.625": (FOCAL, (), "radial-tangential"),
    "SIMPLE_RADIAL 640 480 500.25 320.25 239.625 -0.1": (
        (500.25, 500.25),
        (-0.1, 0, 0, 0),
        "radial-tangential",
    ),
    "RADIAL 640 480 500.25 320.25 239.625 -0.1 0.02": (
        (500.25, 500.25),
        (-0.1, 0.02, 0, 0),
        "radial-tangential",
    ),
    "OPENCV 640 480 500.25 505.5 320.25 239.625 -0.1 0.02 0.001 -0.002": (
        FOCAL,
        (-0.1, 0.02, 0.001, -0.002),
        "radial-tangential",
    ),
    "FULL_OPENCV 640 480 500.25 505.5 320.25 239.625 1 2 3 4 5 6 7 8": (
        FOCAL,
        (1, 2, 3, 4, 5, 6, 7, 8),
        "radial-tangential",
    ),
    "OPENCV_FISHEYE 640 480 500.25 505.5 320.25 239.625 0.02 -0.01 0.003 -0.001": (
        FOCAL,
        FISHEYE.distortion,
        "fisheye",
    ),
    "SIMPLE_RADIAL_FISHEYE 640 480 500.25 320.25 239.625 0.02": (
        (500.25, 500.25),
        (0.02, 0, 0, 0),
        "fisheye",
    ),
}


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("lens", [RADIAL, FISHEYE, PINHOLE])
def test_what_is_written_is_read(tmp_path: Path, lens: Lens) -> None:
    (tmp_path / "c.yaml").write_text(lens_text(lens, {"reprojection_error_px": 0.12}))
    assert read_lens(tmp_path / "c.yaml") == lens


def test_opencv_reads_what_is_written(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(lens_text(RADIAL))
    file = cv2.FileStorage(str(tmp_path / "c.yaml"), cv2.FILE_STORAGE_READ)
    np.testing.assert_array_equal(file.getNode("camera_matrix").mat(), RADIAL.matrix)
    np.testing.assert_array_equal(file.getNode("distortion_coefficients").mat()[0], RADIAL.distortion)
    assert file.getNode("image_width").real() == 640


@pytest.mark.parametrize("suffix", [".yaml", ".yml", ".json"])
def test_what_opencv_writes_is_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"c{suffix}"
    file = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    file.write("image_width", 640)
    file.write("image_height", 480)
    file.write("camera_matrix", RADIAL.matrix)
    file.write("distortion_coefficients", np.array([RADIAL.distortion]))
    file.release()
    assert read_lens(path) == RADIAL


@pytest.mark.parametrize(
    ("model", "values", "lens"),
    [
        ("plumb_bob", RADIAL.distortion, RADIAL),
        ("plumb_bob", (0, 0, 0, 0, 0), PINHOLE),
        ("equidistant", FISHEYE.distortion, FISHEYE),
        (
            "rational_polynomial",
            (1, 2, 3, 4, 5, 6, 7, 8),
            Lens(SIZE_WH, FOCAL, CENTRE, (1, 2, 3, 4, 5, 6, 7, 8)),
        ),
    ],
)
def test_files_of_ros(tmp_path: Path, model: str, values: tuple[float, ...], lens: Lens) -> None:
    path = written(tmp_path / "ros.yaml", ROS % (model, len(values), list(values)))
    assert read_lens(path) == lens


def test_cameras_of_kalibr(tmp_path: Path) -> None:
    path = written(tmp_path / "camchain.yaml", KALIBR)
    assert read_lens(path, "cam0") == Lens(SIZE_WH, FOCAL, CENTRE, RADIAL.distortion[:4])
    assert read_lens(path, "cam1") == FISHEYE
    with pytest.raises(ConfigError, match="camera_model ds is not supported"):
        read_lens(path, "cam2")
    with pytest.raises(ConfigError, match=r"several cameras.*cam0, cam1, cam2"):
        read_lens(path)
    with pytest.raises(ConfigError, match="has no camera cam7"):
        read_lens(path, "cam7")


@pytest.mark.parametrize("line", list(COLMAP))
def test_cameras_of_colmap(tmp_path: Path, line: str) -> None:
    focal, distortion, model = COLMAP[line]
    path = written(tmp_path / "cameras.txt", f"# Camera list\n# one line\n3 {line}\n")
    lens = read_lens(path)
    assert (lens.focal_xy, lens.distortion, lens.model) == (focal, distortion, model)
    assert lens.centre_xy == (319.75, 239.125)


def test_one_of_several_cameras_of_colmap(tmp_path: Path) -> None:
    lines = [f"{number} SIMPLE_PINHOLE 640 480 {number * 100} 320.5 240.5" for number in (1, 2)]
    path = written(tmp_path / "cameras.txt", "\n".join(lines))
    assert read_lens(path, "2").focal_xy == (200, 200)


def test_a_file_without_a_size_is_taken_for_the_frames(tmp_path: Path) -> None:
    text = (ROS % ("plumb_bob", 5, [0] * 5)).replace("image_width: 640\nimage_height: 480\n", "")
    file = open_lens_file(written(tmp_path / "c.yaml", text))
    assert not file.tells_size
    assert file.of_size((1280, 720)) == Lens((1280, 720), FOCAL, CENTRE)
    with pytest.raises(ConfigError, match="image_width"):
        read_lens(tmp_path / "c.yaml")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("c.yaml", "a: b", "no camera_matrix of OpenCV"),
        ("c.yaml", "- 1", "no camera_matrix of OpenCV"),
        ("c.yaml", "a: [", "not valid YAML"),
        ("c.yaml", "", "no camera_matrix of OpenCV"),
        ("cameras.txt", "# none", "holds no camera"),
        ("cameras.txt", "1 FOV 640 480 1 2 3 4 5", "camera model FOV is not supported"),
        ("cameras.txt", "1 PINHOLE 640 480 500", "must be 6 numbers"),
        ("cameras.txt", "1", "camera model none"),
        ("c.yaml", ROS % ("thin_prism_mystery", 5, [0] * 5), "thin_prism_mystery is not supported"),
        ("c.yaml", ROS % ("plumb_bob", 5, ["x"] * 5), "must be numbers"),
        ("c.yaml", ROS % ("equidistant", 5, [1] * 5), "fisheye distortion has 4 coefficients, got 5"),
        ("c.yaml", (ROS % ("plumb_bob", 5, [0] * 5)).replace("505.5", "-1"), "above 0 px"),
        ("c.yaml", (ROS % ("plumb_bob", 5, [0] * 5)).replace("[500.25, 0,", "[500.25, 2,"), "is not"),
    ],
)
def test_what_is_no_lens(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        open_lens_file(written(tmp_path / name, text))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        open_lens_file(tmp_path / "none.yaml")
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="no text"):
        open_lens_file(tmp_path / "b.yaml")
