"""Keypoints and tracks drawn onto a frame: pure functions from a tracked frame to a new picture."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.keypoints import Keypoints, TrackedFrame, Tracks
from realtime_kp.render.carry import carried
from realtime_kp.render.colours import id_colour, score_colours
from realtime_kp.render.hud import HudInfo, draw_hud

Image = NDArray[np.uint8]

_SHIFT = 4  # OpenCV draws at 1/16 pixel
_FIXED = 1 << _SHIFT


def render(
    tracked: TrackedFrame,
    layers: AbstractSet[str],
    *,
    trail_length: int = 20,
    hud: HudInfo | None = None,
    mirror: bool = False,
) -> Image:
    """Draw a tracked frame.

    Args:
        tracked: The frame; its image is not touched.
        layers: Which of `keypoints`, `tracks` and `hud` to draw.
        trail_length: How many past places of a track to show.
        hud: What the HUD says; nothing is drawn without it.
        mirror: Flip the picture left to right, the HUD stays readable.

    Returns:
        A new `(H, W, 3) uint8` picture.
    """
    image = tracked.frame.image_bgr.copy()
    if "tracks" in layers:
        draw_tracks(image, tracked.tracks.confirmed, trail_length)
    if "keypoints" in layers:
        keypoints = tracked.keypoints if tracked.newest is None else carried(tracked.newest, tracked)
        if keypoints is not None:
            draw_keypoints(image, keypoints)
    if mirror:
        image = np.ascontiguousarray(image[:, ::-1])
    if "hud" in layers and hud is not None:
        draw_hud(image, hud)
    return image


def draw_keypoints(image: Image, keypoints: Keypoints) -> None:
    """Small rings, coloured by score, onto `image`."""
    radius = round(_FIXED * 2.0 * _scale(image))
    thickness = max(1, round(_scale(image)))
    for (x, y), colour in zip(_fixed(keypoints.xy).tolist(), score_colours(keypoints.scores), strict=True):
        cv2.circle(image, (x, y), radius, colour, thickness, cv2.LINE_8, _SHIFT)


def draw_tracks(image: Image, tracks: Tracks, trail_length: int) -> None:
    """Trails and heads in the colours of the ids, onto `image`."""
    thickness = max(1, round(_scale(image)))
    head = round(_FIXED * 2.0 * _scale(image))
    trails = tracks.trails_xy[:, -trail_length:]
    known = ~np.isnan(trails[:, :, 0])
    points = _fixed(np.nan_to_num(trails))
    heads = _fixed(tracks.xy).tolist()
    for i, track_id in enumerate(tracks.ids.tolist()):
        colour = id_colour(track_id)
        # A gap means the track was lost there: no line is drawn across it.
        start = len(known[i]) - int(np.argmin(known[i, ::-1])) if not known[i].all() else 0
        trail = points[i, start:]
        if len(trail) > 1:
            cv2.polylines(image, [trail], False, colour, thickness, cv2.LINE_8, _SHIFT)
        cv2.circle(image, tuple(heads[i]), head, colour, cv2.FILLED, cv2.LINE_8, _SHIFT)


def _fixed(xy: NDArray[np.float32]) -> NDArray[np.int32]:
    # Far predictions must not overflow OpenCV's fixed point.
    return np.clip(np.rint(xy * _FIXED), -(2**26), 2**26).astype(np.int32)


def _scale(image: Image) -> float:
    """How much larger than a VGA picture this is drawn."""
    height, width = image.shape[:2]
    return float(max(0.6, width / 800, height / 800))
