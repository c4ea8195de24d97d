"""The table of where a reference picture is in each frame."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from realtime_kp.keypoints import TrackedFrame
from realtime_kp.sinks.table_file import Column, TableFile

_FLAG = "--poses"
# Row by row: h11 h12 h13 h21 ... h33, from pixels of the picture to pixels of the frame (undistorted ones
# where the lens is known), h33 = 1; then the corners of the picture in the frame from the top left one
# clockwise. Empty where the picture was not found. `time_ns` as in the tracks table.
POSE_COLUMNS = (
    Column("frame", "int64"),
    Column("time_s", "float64", ".9f"),
    Column("visible", "bool"),
    Column("inliers", "int64"),
    *(Column(f"h{row}{column}", "float64", ".9g") for row in (1, 2, 3) for column in (1, 2, 3)),
    *(Column(f"{axis}{corner}", "float64", ".3f") for corner in (1, 2, 3, 4) for axis in "xy"),
    Column("time_ns", "int64"),
)
# Of a picture of known size seen through a known lens: rotation vector, and the middle of the picture.
METRIC_COLUMNS = (
    *(Column(name, "float64", ".6f") for name in ("rx", "ry", "rz")),
    *(Column(name, "float64", ".6f") for name in ("tx_m", "ty_m", "tz_m")),
)


class PosesSink:
    """Writes a row for each frame, of where the reference picture is.

    Args:
        path: `.csv`, `.jsonl` or `.parquet`; see `TableFile`.
        resume: Size in bytes, from `mark`, after which the file of an earlier run is continued.
        metric: Add columns with rotation and translation.
        notes: What a reader has to know of the table; see `TableFile`.

    Raises:
        ConfigError: The suffix is unknown, or pyarrow is missing.
    """

    def __init__(
        self,
        path: Path,
        resume: int | None = None,
        *,
        metric: bool = False,
        notes: Mapping[str, Any] | None = None,
    ) -> None:
        self._table = TableFile(
            path, (*POSE_COLUMNS, *METRIC_COLUMNS) if metric else POSE_COLUMNS, resume, _FLAG, notes
        )
        self._metric = metric

    def __enter__(self) -> Self:
        self._table.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._table.__exit__(kind, error, trace)

    @property
    def mark(self) -> int:
        """Size of the table, bytes, after flushing.

        Raises:
            SinkError: The file cannot be written.
        """
        return self._table.mark

    def write(self, image_bgr: NDArray[np.uint8] | None, tracked: TrackedFrame) -> None:
        """Add the row of one frame.

        Raises:
            SinkError: The file cannot be written.
        """
        self._table.add([(*pose_row(tracked), *(metric_values(tracked) if self._metric else ()))])


def pose_row(tracked: TrackedFrame) -> tuple[Any, ...]:
    """Values of `POSE_COLUMNS` for one frame."""
    pose = tracked.reference
    start = (tracked.frame.index, round(tracked.frame.time_s, 9))
    if pose is None or pose.homography is None or pose.corners_xy is None:
        return (*start, False, 0, *(len(POSE_COLUMNS) - 5) * [None], tracked.frame.time_ns)
    matrix = pose.homography / pose.homography[2, 2]
    numbers = [float(f"{value:.9g}") for value in matrix.ravel().tolist()]
    return (
        *start,
        True,
        pose.inliers,
        *numbers,
        *pose.corners_xy.astype(np.float64).round(3).ravel().tolist(),
        tracked.frame.time_ns,
    )


def metric_values(tracked: TrackedFrame) -> tuple[float | None, ...]:
    """Values of `METRIC_COLUMNS` for one frame: radians and metres."""
    pose = tracked.reference
    if pose is None or pose.rotation is None or pose.translation_m is None:
        return (None,) * len(METRIC_COLUMNS)
    return tuple(np.concatenate([pose.rotation, pose.translation_m]).round(6).tolist())
