"""Writes COLMAP's database from arrays; run as a process of its own by `colmap`.

python -m realtime_kp.exports.colmap_database TRACKS.npz DATABASE.db
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LEAST_COMMON = 15
_ALL_PAIRS_UP_TO = 60
_NEIGHBOURS = 12
_FARTHEST = 512


def main() -> None:
    """Write the database that the command line names."""
    import pycolmap

    data, path = sys.argv[1:]
    with np.load(data) as file:
        arrays: dict[str, Any] = dict(file)
    database = pycolmap.Database.open(path)
    try:
        write_database(database, arrays)
    finally:
        database.close()


def write_database(database: Any, arrays: dict[str, Any]) -> None:
    """Write camera, images, keypoints and pairs.

    Args:
        database: A `pycolmap.Database`.
        arrays: `frames`, `ids (N,)` and `xy (N, 2)` of all points; `names` of the images in the order of
            their frames; `size_wh`, `model`, `parameters` of the camera, and whether they are `known`.
    """
    import pycolmap

    camera = _camera(arrays)
    camera.camera_id = database.write_camera(camera)
    rig = pycolmap.Rig()
    rig.add_ref_sensor(camera.sensor_id)
    rig_id = database.write_rig(rig)
    images: list[tuple[int, NDArray[np.int64], NDArray[np.float64]]] = []
    for frame, name in zip(np.unique(arrays["frames"]), arrays["names"].tolist(), strict=True):
        rows = np.flatnonzero(arrays["frames"] == frame)
        rows = rows[np.argsort(arrays["ids"][rows])]
        image = pycolmap.Image(name=name, camera_id=camera.camera_id)
        image.image_id = database.write_image(image)
        moment = pycolmap.Frame()
        moment.rig_id = rig_id
        moment.add_data_id(image.data_id)
        database.write_frame(moment)
        database.write_keypoints(image.image_id, arrays["xy"][rows].astype(np.float32))
        images.append((image.image_id, arrays["ids"][rows], arrays["xy"][rows]))
    options = pycolmap.TwoViewGeometryOptions()
    # For one camera of unknown focal length pycolmap 4.2.1 estimates that in each pair, and crashes where a
    # pair does not determine it; for two cameras it estimates a fundamental matrix.
    other = _camera(arrays)
    other.camera_id = camera.camera_id + (not camera.has_prior_focal_length)
    for first, second in _pairs(len(images)):
        (a, a_ids, a_xy), (b, b_ids, b_xy) = images[first], images[second]
        _, rows_a, rows_b = np.intersect1d(a_ids, b_ids, assume_unique=True, return_indices=True)
        if len(rows_a) < _LEAST_COMMON:
            continue
        matches = np.stack([rows_a, rows_b], axis=1).astype(np.uint32)
        database.write_matches(a, b, matches)
        geometry = pycolmap.estimate_two_view_geometry(camera, a_xy, other, b_xy, matches, options)
        database.write_two_view_geometry(a, b, geometry)


def _camera(arrays: dict[str, Any]) -> Any:
    import pycolmap

    width, height = arrays["size_wh"].tolist()
    camera = pycolmap.Camera(
        model=str(arrays["model"]), width=width, height=height, params=arrays["parameters"].tolist()
    )
    camera.has_prior_focal_length = bool(arrays["known"])
    return camera


def _pairs(count: int) -> Iterator[tuple[int, int]]:
    """Pairs of images: all of few, else near ones and some that are far apart."""
    steps = set(range(1, count if count <= _ALL_PAIRS_UP_TO else _NEIGHBOURS + 1))
    if count > _ALL_PAIRS_UP_TO:
        steps |= {2**power for power in range(_FARTHEST.bit_length())}
    for step in sorted(steps):
        yield from ((first, first + step) for first in range(count - step))


if __name__ == "__main__":
    main()
