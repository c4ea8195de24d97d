"""Tracks as `supervision.Detections`, for that library's annotators, zones and counters."""

from __future__ import annotations

from typing import Any

import numpy as np

from realtime_kp.errors import ConfigError
from realtime_kp.keypoints import Tracks


def to_supervision(tracks: Tracks, size_px: float = 9.0) -> Any:
    """Confirmed tracks that were seen, as small boxes with their ids.

    Boxes are `x1, y1, x2, y2` in pixels, as of Roboflow's supervision; the centre of the top left pixel is at
    (0, 0). `data` holds `label`, `length` and `sigma_px`.

    Args:
        tracks: The tracks of a frame.
        size_px: Side of the boxes.

    Returns:
        A `supervision.Detections`.

    Raises:
        ConfigError: The package is missing.
    """
    try:
        import supervision
    except ImportError as exc:
        raise ConfigError("to_supervision needs supervision: pip install supervision") from exc
    seen = tracks.seen_confirmed
    half = size_px / 2
    return supervision.Detections(
        xyxy=np.concatenate([seen.xy - half, seen.xy + half], axis=1),
        confidence=seen.scores,
        class_id=np.zeros(len(seen.ids), int),
        tracker_id=seen.ids,
        data={
            "label": np.array([seen.labels.get(number, "") for number in seen.ids.tolist()], object),
            "length": seen.lengths,
            "sigma_px": seen.sigma_px,
        },
    )
