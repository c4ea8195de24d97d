"""Files of lenses: OpenCV's and ROS's YAML, Kalibr's camera chains, COLMAP's cameras.txt."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from realtime_kp.errors import ArgumentError, ConfigError
from realtime_kp.lens.distortion import LensModel
from realtime_kp.lens.model import Lens

# Names of the models by the coefficients that ours take.
_MODELS: Mapping[str, LensModel] = {
    "plumb_bob": "radial-tangential",
    "rational_polynomial": "radial-tangential",
    "radtan": "radial-tangential",
    "none": "radial-tangential",
    "equidistant": "fisheye",
    "equi": "fisheye",
    "fisheye": "fisheye",
}
# Of COLMAP, as in its src/colmap/sensor/models.h: number of focal lengths, the model, and where each of its
# coefficients stands in ours. Its centre of the top left pixel is at (0.5, 0.5).
_COLMAP: Mapping[str, tuple[int, LensModel, tuple[int, ...]]] = {
    "SIMPLE_PINHOLE": (1, "radial-tangential", ()),
    "PINHOLE": (2, "radial-tangential", ()),
    "SIMPLE_RADIAL": (1, "radial-tangential", (0,)),
    "RADIAL": (1, "radial-tangential", (0, 1)),
    "OPENCV": (2, "radial-tangential", (0, 1, 2, 3)),
    "FULL_OPENCV": (2, "radial-tangential", (0, 1, 2, 3, 4, 5, 6, 7)),
    "OPENCV_FISHEYE": (2, "fisheye", (0, 1, 2, 3)),
    "SIMPLE_RADIAL_FISHEYE": (1, "fisheye", (0,)),
    "RADIAL_FISHEYE": (1, "fisheye", (0, 1)),
}


_Cameras = dict[str, Callable[[], Lens]]

_UNKNOWN_SIZE = (1, 1)


class _UnreadableError(Exception):
    """What is wrong with a file, in words."""


@dataclass(frozen=True, slots=True)
class LensFile:
    """A lens in a file that was read and understood.

    Attributes:
        path: The file.
        lens: The lens; of pictures of one pixel where the file does not tell their size.
        tells_size: Whether the file tells for pictures of what size it is.
    """

    path: Path
    lens: Lens
    tells_size: bool

    def of_size(self, size_wh: tuple[int, int]) -> Lens:
        """The lens for pictures of a size; where the file tells none, that one is taken to be meant.

        Raises:
            ConfigError: The lens is for pictures of another aspect.
        """
        if not self.tells_size:
            return replace(self.lens, size_wh=size_wh)
        try:
            return self.lens.scaled(size_wh)
        except ArgumentError as exc:
            raise ConfigError(f"{self.path}: {exc}") from exc


def open_lens_file(path: Path, camera: str | None = None) -> LensFile:
    """Read a file that holds a lens.

    These are read: YAML or JSON of OpenCV (`camera_matrix`, `distortion_coefficients`, `image_width`,
    `image_height`, `fisheye_model`) and of ROS (`distortion_model` besides), Kalibr's `camchain.yaml`
    (pinhole cameras with radtan, equidistant or no distortion), and COLMAP's `cameras.txt`.

    Args:
        path: The file.
        camera: Which camera of it, such as cam1 or 2; None where it holds only one.

    Raises:
        ConfigError: The file cannot be read, is none of these, or holds several cameras and none is named.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is no text"
        raise ConfigError(f"cannot read the lens {path}: {reason}") from exc
    try:
        cameras = _colmap(text) if path.suffix.lower() == ".txt" else _yaml(text)
        lens = _chosen(cameras, camera)()
    except (ArgumentError, _UnreadableError) as exc:
        raise ConfigError(f"cannot read the lens {path}: {exc}") from exc
    return LensFile(path, lens, lens.size_wh != _UNKNOWN_SIZE)


def read_lens(path: Path, camera: str | None = None, size_wh: tuple[int, int] | None = None) -> Lens:
    """Read a lens from a file; see `open_lens_file`.

    Args:
        path: The file.
        camera: Which camera of it, such as cam1 or 2; None where it holds only one.
        size_wh: Width and height of the pictures; None takes those that the file tells.

    Raises:
        ConfigError: The file cannot be read, holds no such camera, or is for pictures of another aspect.
    """
    file = open_lens_file(path, camera)
    if size_wh is not None:
        return file.of_size(size_wh)
    if not file.tells_size:
        raise ConfigError(f"cannot read the lens {path}: it has no image_width and image_height")
    return file.lens


def _chosen(cameras: _Cameras, name: str | None) -> Callable[[], Lens]:
    if not cameras:
        raise _UnreadableError("it holds no camera")
    if name is None and len(cameras) > 1:
        raise _UnreadableError(f"it holds several cameras: take one by --camera-name: {', '.join(cameras)}")
    name = next(iter(cameras)) if name is None else name
    if name not in cameras:
        raise _UnreadableError(f"it has no camera {name}, but {', '.join(cameras)}")
    return cameras[name]


def lens_text(lens: Lens, notes: Mapping[str, float | int | str] | None = None) -> str:
    """A lens as YAML that OpenCV's `FileStorage` and this tool read.

    Args:
        lens: The lens.
        notes: Further values, such as the reprojection error.
    """
    radial = "plumb_bob" if len(lens.distortion) <= 5 else "rational_polynomial"
    ros = "equidistant" if lens.model == "fisheye" else radial
    lines = ["%YAML:1.0", "---", f"image_width: {lens.size_wh[0]}", f"image_height: {lens.size_wh[1]}"]
    lines += _matrix("camera_matrix", 3, 3, lens.matrix.ravel().tolist())
    lines += [f"distortion_model: {ros}", f"fisheye_model: {int(lens.model == 'fisheye')}"]
    lines += _matrix("distortion_coefficients", 1, len(lens.distortion) or 5, lens.distortion or (0.0,) * 5)
    lines += [f"{key}: {value}" for key, value in (notes or {}).items()]
    return "\n".join(lines) + "\n"


def _matrix(name: str, rows: int, columns: int, values: Sequence[float]) -> list[str]:
    numbers = ", ".join(f"{value!r}" for value in values)
    return [
        f"{name}: !!opencv-matrix",
        f"   rows: {rows}",
        f"   cols: {columns}",
        "   dt: d",
        f"   data: [ {numbers} ]",
    ]


class _Loader(yaml.SafeLoader):
    """Reads OpenCV's matrices as what they are: mappings with rows, cols and data."""


_Loader.add_constructor(
    "tag:yaml.org,2002:opencv-matrix",
    lambda loader, node: loader.construct_mapping(node, deep=True),  # type: ignore[arg-type]
)


def _yaml(text: str) -> _Cameras:
    # OpenCV's first line is none of YAML's.
    lines = [line for line in text.splitlines() if not line.startswith("%YAML")]
    try:
        values = yaml.load("\n".join(lines), _Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as exc:
        raise _UnreadableError(f"it is not valid YAML: {' '.join(str(exc).split())}") from exc
    if not isinstance(values, dict):
        raise _UnreadableError("it holds no camera_matrix of OpenCV, and no cam0 of Kalibr")
    if "camera_matrix" in values:
        return {"camera": lambda: _opencv(values)}
    chain = {
        str(name): part for name, part in values.items() if isinstance(part, dict) and "intrinsics" in part
    }
    if "intrinsics" in values:
        chain = {"camera": values}
    if not chain:
        raise _UnreadableError("it holds no camera_matrix of OpenCV, and no cam0 of Kalibr")
    return {name: lambda part=part: _kalibr(part) for name, part in chain.items()}  # type: ignore[misc]


def _opencv(values: Mapping[str, Any]) -> Lens:
    rows = _numbers(values["camera_matrix"], "camera_matrix", 9)
    fx, skew, cx, below, fy, cy, *last = rows
    if skew or below or last != [0, 0, 1]:
        raise _UnreadableError(f"its camera_matrix is not [fx 0 cx; 0 fy cy; 0 0 1], but {rows}")
    coefficients = values.get("distortion_coefficients", values.get("dist_coeffs"))
    if coefficients is None:
        raise _UnreadableError("it has no distortion_coefficients")
    distortion = _numbers(coefficients, "distortion_coefficients")
    name = str(values.get("distortion_model", "fisheye" if values.get("fisheye_model") else "plumb_bob"))
    size_wh = _UNKNOWN_SIZE
    if "image_width" in values and "image_height" in values:
        size = _numbers([values["image_width"], values["image_height"]], "image_width and image_height", 2)
        size_wh = (round(size[0]), round(size[1]))
    model = _model(name)
    # OpenCV also writes 14 coefficients, the last two of a tilted sensor; ROS and others drop zeros.
    while len(distortion) > 12 and distortion[-1] == 0:
        distortion.pop()
    if not any(distortion) and model == "radial-tangential":
        distortion = []
    if len(distortion) in (1, 2, 3):
        distortion += [0.0] * (4 - len(distortion))
    return Lens(size_wh, (fx, fy), (cx, cy), tuple(distortion), model)


def _kalibr(values: Mapping[str, Any]) -> Lens:
    if values.get("camera_model", "pinhole") != "pinhole":
        raise _UnreadableError(f"camera_model {values['camera_model']} is not supported, only pinhole")
    fx, fy, cx, cy = _numbers(values["intrinsics"], "intrinsics", 4)
    model = _model(str(values.get("distortion_model", "none")))
    distortion = _numbers(values.get("distortion_coeffs") or [], "distortion_coeffs")
    width, height = _numbers(values.get("resolution"), "resolution", 2)
    return Lens((round(width), round(height)), (fx, fy), (cx, cy), tuple(distortion), model)


def _model(name: str) -> LensModel:
    if name.lower() not in _MODELS:
        raise _UnreadableError(f"distortion_model {name} is not supported, only {', '.join(_MODELS)}")
    return _MODELS[name.lower()]


def _numbers(value: Any, name: str, count: int | None = None) -> list[float]:
    values = value.get("data") if isinstance(value, dict) else value
    if isinstance(values, list) and values and isinstance(values[0], list):
        values = [number for row in values for number in row]
    try:
        numbers = [float(number) for number in values or []]
    except (TypeError, ValueError):
        numbers = [math.nan]
    if any(map(math.isnan, numbers)) or (count is not None and len(numbers) != count):
        wanted = "numbers" if count is None else f"{count} numbers"
        raise _UnreadableError(f"{name} must be {wanted}, got {value!r}")
    return numbers


def _colmap(text: str) -> _Cameras:
    lines = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return {line[0]: lambda line=line: _colmap_camera(line) for line in lines}  # type: ignore[misc]


def _colmap_camera(line: list[str]) -> Lens:
    name = line[1] if len(line) > 1 else ""
    if name not in _COLMAP:
        raise _UnreadableError(f"camera model {name or 'none'} is not supported, only {', '.join(_COLMAP)}")
    focals, model, places = _COLMAP[name]
    width, height, *numbers = _numbers(line[2:], "its numbers", 4 + focals + len(places))
    focal, centre, coefficients = numbers[:focals], numbers[focals : focals + 2], numbers[focals + 2 :]
    distortion = [0.0] * (max(4, len(places)) if places else 0)
    for place, value in zip(places, coefficients, strict=True):
        distortion[place] = value
    return Lens(
        (round(width), round(height)),
        (focal[0], focal[-1]),
        (centre[0] - 0.5, centre[1] - 0.5),
        tuple(distortion),
        model,
    )
