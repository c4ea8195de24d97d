"""Drawing of keypoints and tracks: pure functions from a tracked frame to a new image."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

import cv2
import numpy as np
from numpy.typing import NDArray

from realtime_kp.config import Box
from realtime_kp.keypoints import Keypoints, TrackedFrame, Tracks
from realtime_kp.lens import StraightView
from realtime_kp.render.colours import colour_numbers, id_palette, score_colours
from realtime_kp.render.dots import draw_dots
from realtime_kp.render.hud import HudInfo, draw_hud
from realtime_kp.render.look import Look, colours_of, uncrowded
from realtime_kp.render.motion_compensation import compensate_motion
from realtime_kp.render.trails import draw_trails

Image = NDArray[np.uint8]

_SHIFT = 4  # OpenCV draws at 1/16 pixel
_FIXED = 1 << _SHIFT
_DOT, _SMALL_DOT = 2.0, 1.0  # radii, pixels of a picture 800 pixels wide
_OUTLINE = (80, 220, 255)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_FARTHEST_LABEL = 1e5
_BENT_POINTS = 17
_FARTHEST = 2**26  # OpenCV's fixed point must not overflow


def render(
    tracked: TrackedFrame,
    layers: AbstractSet[str],
    *,
    look: Look = Look(),  # noqa: B008
    hud: HudInfo | None = None,
    mirror: bool = False,
) -> Image:
    """Draw a tracked frame.

    Args:
        tracked: The frame; its image is not modified.
        layers: Which of `keypoints`, `tracks` and `hud` to draw.
        look: How tracks and figures are drawn.
        hud: Values of the HUD; None draws no HUD.
        mirror: Flip the image left to right; the HUD stays readable.

    Returns:
        A new `(H, W, 3) uint8` image.
    """
    image = tracked.frame.image_bgr.copy()
    if "keypoints" in layers:
        keypoints = (
            tracked.keypoints if tracked.newest is None else compensate_motion(tracked.newest, tracked)
        )
        if keypoints is not None:
            draw_keypoints(image, keypoints)
    if "tracks" in layers:
        draw_tracks(image, tracked.tracks.confirmed, look)
        if tracked.reference is not None and tracked.reference.corners_xy is not None:
            draw_outline(image, tracked.reference.corners_xy)
    if mirror:
        image = np.ascontiguousarray(image[:, ::-1])
    if "tracks" in layers and tracked.tracks.labels:
        draw_labels(image, tracked.tracks.confirmed, mirror=mirror)
    if "hud" in layers and hud is not None:
        draw_hud(image, hud, look.hud, look.hud_at)
    return image


def draw_keypoints(image: Image, keypoints: Keypoints) -> None:
    """Draw small rings, coloured by score."""
    scale = _scale(image)
    draw_dots(image, keypoints.xy, score_colours(keypoints.scores), 2.0 * scale, max(1, round(scale)))


def draw_tracks(image: Image, tracks: Tracks, look: Look) -> None:
    """Draw trails and current positions; points of one's own larger, in the colours of their ids."""
    size_wh, scale = (image.shape[1], image.shape[0]), _scale(image)
    own = np.isin(tracks.ids, list(tracks.labels))
    clear = own | uncrowded(tracks, size_wh) if look.crowded == "thin" else np.ones(len(tracks), np.bool_)
    numbers, palette = colours_of(tracks, look.colour, size_wh)
    draw_dots(image, tracks.xy[~clear], palette[numbers[~clear]], _SMALL_DOT * scale)
    if look.trails != "none":
        trails_xy, width_px = tracks.trails_xy[clear, -look.trail_length :], max(1, round(scale))
        draw_trails(image, trails_xy, numbers[clear], palette, width_px, fade=look.trails == "fade")
    draw_dots(image, tracks.xy[clear], palette[numbers[clear]], _DOT * scale)
    draw_dots(image, tracks.xy[own], id_palette()[colour_numbers(tracks.ids[own])], 4.0 * scale)
    draw_dots(image, tracks.xy[own], np.full((int(own.sum()), 3), 255, np.uint8), 5.0 * scale, 1)


def draw_labels(image: Image, tracks: Tracks, *, mirror: bool = False) -> None:
    """Write the names of points of one's own beside them; positions are those before mirroring."""
    scale = max(0.4, 0.5 * _scale(image))
    for row in np.flatnonzero(np.isin(tracks.ids, list(tracks.labels))).tolist():
        x, y = (int(value) for value in np.clip(tracks.xy[row], -_FARTHEST_LABEL, _FARTHEST_LABEL))
        x = image.shape[1] - 1 - x if mirror else x
        place = (x + round(12 * scale), y - round(12 * scale))
        text = tracks.labels[int(tracks.ids[row])]
        for colour, thickness in ((0, 3), (255, 1)):
            cv2.putText(image, text, place, _FONT, scale, (colour,) * 3, thickness, cv2.LINE_AA)


def draw_outline(image: Image, corners_xy: NDArray[np.float32]) -> None:
    """Outline a reference picture; a dot marks its top left corner.

    Args:
        image: Is drawn on.
        corners_xy: `(4, 2)`, from the top left corner clockwise.
    """
    points = np.clip(np.rint(corners_xy * _FIXED), -_FARTHEST, _FARTHEST).astype(np.int32)
    scale = _scale(image)
    for colour, thickness in (((0, 0, 0), 4), (_OUTLINE, 2)):
        width = max(1, round(thickness * scale))
        cv2.polylines(image, [points], True, colour, width, cv2.LINE_AA, _SHIFT)
    draw_dots(image, corners_xy[:1], np.array([_OUTLINE], np.uint8), 5 * scale)


def draw_regions(
    image: Image, regions: tuple[Box, ...], *, mirror: bool = False, view: StraightView | None = None
) -> None:
    """Outline regions: left, top, width and height, pixels of the frame before it was mirrored.

    Args:
        image: Is drawn on.
        regions: The regions.
        mirror: Whether it is flipped left to right.
        view: How the frame was straightened; None where it was not.
    """
    for left, top, width, height in regions:
        if view is not None:
            _draw_straightened_box(image, (left, top, width, height), view, mirror=mirror)
            continue
        left = image.shape[1] - left - width if mirror else left
        _outline(image, (left, top), (left + width - 1, top + height - 1))


def _draw_straightened_box(image: Image, region: Box, view: StraightView, *, mirror: bool) -> None:
    left, top, width, height = region
    unit = np.linspace(0, 1, _BENT_POINTS)
    sides = [(unit, 0 * unit), (0 * unit + 1, unit), (1 - unit, 0 * unit + 1), (0 * unit, 1 - unit)]
    edge = np.concatenate([np.stack(side, axis=1) for side in sides])
    xy = view.from_source(edge * (width - 1, height - 1) + (left, top))
    if mirror:
        xy[:, 0] = image.shape[1] - 1 - xy[:, 0]
    points = np.clip(np.rint(xy * _FIXED), -_FARTHEST, _FARTHEST).astype(np.int32)
    for colour, thickness in ((0, 3), (255, 1)):
        cv2.polylines(image, [points], True, (colour,) * 3, thickness, cv2.LINE_AA, _SHIFT)


def draw_drag(image: Image, drag: tuple[int, int, int, int]) -> None:
    """Outline what the mouse is dragged across: from x, y to x, y, pixels of the image."""
    _outline(image, drag[:2], drag[2:])


def _outline(image: Image, first_xy: tuple[int, int], last_xy: tuple[int, int]) -> None:
    # Dark beside light is seen on any ground.
    for colour, thickness in ((0, 3), (255, 1)):
        cv2.rectangle(image, first_xy, last_xy, (colour,) * 3, thickness)


def _scale(image: Image) -> float:
    """Scale of the drawing relative to a VGA image."""
    height, width = image.shape[:2]
    return float(max(0.6, width / 800, height / 800))
