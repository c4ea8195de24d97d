"""Tracks of a frame as messages: JSON for whoever reads it, columns of numbers for whoever draws them."""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from realtime_kp.keypoints import Keypoints, TrackedFrame, Tracks
from realtime_kp.render import Look, colours_of, compensate_motion, uncrowded

VERSION = 1
_ALIGN = 8


def tracks_json(tracked: TrackedFrame) -> str:
    """The confirmed tracks of a frame as a JSON object.

    `frame` is its index, `time_s` and `time_ns` its time on the clock of the source, `size_wh` its size in
    pixels, `tracks` a list of objects with `id`, `x` and `y` (pixels), `score`, `length` (frames in which it
    was seen), `seen` (whether in this one; else its position is predicted), `sigma_px` (null where unknown)
    and, for points of one's own, `label`.
    """
    tracks = tracked.tracks.confirmed
    columns = zip(
        tracks.ids.tolist(),
        np.round(tracks.xy.astype(np.float64), 3).tolist(),
        np.round(tracks.scores.astype(np.float64), 4).tolist(),
        tracks.lengths.tolist(),
        tracks.seen.tolist(),
        np.round(tracks.sigma_px.astype(np.float64), 3).tolist(),
        strict=True,
    )
    rows = [
        {"id": number, "x": xy[0], "y": xy[1], "score": score, "length": length, "seen": seen}
        | {"sigma_px": sigma_px if math.isfinite(sigma_px) else None}
        | ({"label": tracks.labels[number]} if number in tracks.labels else {})
        for number, xy, score, length, seen, sigma_px in columns
    ]
    return json.dumps({**_frame(tracked), "tracks": rows}, separators=(",", ":"))


def tracks_columns(tracked: TrackedFrame, look: Look, *, keypoints: bool = False) -> bytes:
    """The confirmed tracks of a frame as columns.

    Four bytes with the length of the header (little-endian), the header (JSON, padded with spaces to a
    multiple of eight bytes, the four included), then the columns, each padded likewise. The header has what
    `tracks_json` tells of the frame, `captured_at_s`, `labels` by id, `reference` (corners of the reference
    picture, or null), and `columns`: by name the `dtype` (of NumPy, little-endian), the `shape`, and the
    `offset` in bytes from the end of the header.

    Args:
        tracked: The frame.
        look: How the tracks are drawn.
        keypoints: Whether to tell the keypoints of the newest detection too, where they are in this frame.
    """
    tracks = tracked.tracks.confirmed
    columns = _columns(tracks, look, tracked.frame.size_wh)
    if keypoints:
        found = tracked.keypoints if tracked.newest is None else compensate_motion(tracked.newest, tracked)
        found = Keypoints.empty() if found is None else found
        columns |= {"keypoint_xy": found.xy, "keypoint_score": found.scores}
    described, parts, offset = {}, [], 0
    for name, values in columns.items():
        data = np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<"), copy=False).tobytes()
        data += bytes(-len(data) % _ALIGN)
        described[name] = {"dtype": values.dtype.name, "shape": list(values.shape), "offset": offset}
        parts.append(data)
        offset += len(data)
    corners = None if tracked.reference is None else tracked.reference.corners_xy
    header = _frame(tracked) | {
        "captured_at_s": tracked.frame.captured_at_s,
        "labels": {str(number): name for number, name in tracks.labels.items()},
        "reference": None if corners is None else np.round(corners.astype(np.float64), 2).tolist(),
        "columns": described,
    }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + 4) % _ALIGN)
    return b"".join([struct.pack("<I", len(text)), text, *parts])


def _frame(tracked: TrackedFrame) -> dict[str, Any]:
    frame = tracked.frame
    return {
        "version": VERSION,
        "frame": frame.index,
        "time_s": round(frame.time_s, 9),
        "time_ns": frame.time_ns,
        "size_wh": list(frame.size_wh),
    }


def _columns(tracks: Tracks, look: Look, size_wh: tuple[int, int]) -> dict[str, NDArray[Any]]:
    numbers, palette = colours_of(tracks, look.colour, size_wh)
    clear = uncrowded(tracks, size_wh) if look.crowded == "thin" else np.ones(len(tracks), np.bool_)
    return {
        "id": tracks.ids,
        "xy": tracks.xy,
        "score": tracks.scores,
        "sigma_px": tracks.sigma_px,
        "length": tracks.lengths,
        "seen": tracks.seen.astype(np.uint8),
        "rgb": palette[numbers][:, ::-1],
        "clear": (clear | np.isin(tracks.ids, list(tracks.labels))).astype(np.uint8),
    }
