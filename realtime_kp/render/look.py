"""How tracks are drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from realtime_kp.config import Colouring, Crowded, HudCorner, HudLines, RenderConfig, Trails
from realtime_kp.keypoints import Tracks
from realtime_kp.render.colours import birth_palette, birth_places, colour_numbers, id_palette, turbo_palette

_LONG_AGE = 300  # frames, and
_FAST = 0.015  # of the long side in a frame, and
_SIGMA_PX = (0.03, 1.0)  # positions as good and as bad as this, are at the ends of the scale of colours
_CELL, _LEAST_CELL_PX = 0.05, 12.0  # where drawing is thinned: of the long side
_MOST_COLUMNS = 1 << 20


@dataclass(frozen=True, slots=True)
class Look:
    """How tracks and figures are drawn.

    Attributes:
        colour: What the colour of a track tells: `birth`, where it was born, so that neighbours are alike;
            `id`; `age`; `speed`; or `confidence`, how sure its position is.
        trails: `fade` with age, `plain` lines, or `none`.
        crowded: `thin` leaves out trails where many tracks are close together, and draws only small dots of
            them; `all` draws everything.
        trail_length: Number of past positions of a track to draw.
        hud: `line`, the most important figures, or `full`.
        hud_at: The corner with the figures.
    """

    colour: Colouring = "birth"
    trails: Trails = "fade"
    crowded: Crowded = "thin"
    trail_length: int = 20
    hud: HudLines = "line"
    hud_at: HudCorner = "top-left"

    @classmethod
    def of(cls, config: RenderConfig) -> Look:
        """The look that settings ask for."""
        return cls(
            config.colour, config.trails, config.crowded, config.trail_length, config.hud, config.hud_at
        )


def colours_of(
    tracks: Tracks, colouring: Colouring, size_wh: tuple[int, int]
) -> tuple[NDArray[np.intp], NDArray[np.uint8]]:
    """Colours of tracks.

    Args:
        tracks: M tracks.
        colouring: What the colour tells.
        size_wh: Width and height of the picture.

    Returns:
        `(M,)`, numbers in a palette; `(K, 3)`, the palette, BGR.
    """
    if colouring == "birth":
        return birth_places(tracks.born_xy, size_wh), birth_palette()
    if colouring == "id":
        return colour_numbers(tracks.ids), id_palette()
    if colouring == "age":
        level = np.log(np.maximum(tracks.lengths, 1)) / np.log(_LONG_AGE)
    elif colouring == "speed":
        level = _speeds_px(tracks) / (_FAST * max(size_wh))
    else:
        least, most = np.log(_SIGMA_PX)
        level = (np.log(np.maximum(np.nan_to_num(tracks.sigma_px, nan=1.0), 1e-6)) - least) / (most - least)
    return np.asarray(np.clip(level * 255, 0, 255).astype(np.intp)), turbo_palette()


def _speeds_px(tracks: Tracks) -> NDArray[np.float32]:
    """`(M,)`: how far each has moved since the frame before; 0 where it was not there."""
    if tracks.trails_xy.shape[1] < 2:
        return np.zeros(len(tracks), np.float32)
    step = tracks.trails_xy[:, -1] - tracks.trails_xy[:, -2]
    return np.asarray(np.nan_to_num(np.linalg.norm(step, axis=1)), np.float32)


def uncrowded(tracks: Tracks, size_wh: tuple[int, int]) -> NDArray[np.bool_]:
    """`(M,) bool`: the oldest track of each small square of the picture, which is enough to see the motion.

    Args:
        tracks: M tracks.
        size_wh: Width and height of the picture.
    """
    cell_px = max(_LEAST_CELL_PX, _CELL * max(size_wh))
    column, row = np.floor(np.nan_to_num(tracks.xy) / cell_px).astype(np.int64).T
    cells = row * _MOST_COLUMNS + column
    # Of equally old ones the one with the lower id, in every frame.
    order = np.lexsort((tracks.ids, -tracks.lengths))
    _, first = np.unique(cells[order], return_index=True)
    kept = np.zeros(len(tracks), np.bool_)
    kept[order[first]] = True
    return kept
