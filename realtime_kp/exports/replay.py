"""The tracks of each frame, with their trails, from a saved table."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from realtime_kp.exports.track_table import TrackTable
from realtime_kp.keypoints import Tracks, TrackState

_STATES = {state.name.lower(): int(state) for state in TrackState}


class Replay:
    """Gives the tracks of one frame after the other, as they were when the table was written.

    Args:
        table: The table.
        trail_length: Number of past positions of each track.
    """

    def __init__(self, table: TrackTable, trail_length: int = 20) -> None:
        self._table = table
        self._trail_length = trail_length
        self._past: deque[tuple[NDArray[np.int64], NDArray[np.float32]]] = deque(maxlen=trail_length)
        self._born_ids, first = np.unique(table.ids, return_index=True)
        self._born_xy = np.stack([table.columns[axis][first] for axis in "xy"], axis=1).astype(np.float32)
        self._labels: dict[int, str] = {}
        if "label" in table.columns:
            named = np.flatnonzero(table.columns["label"] != "")
            ids, first = np.unique(table.ids[named], return_index=True)
            texts = table.columns["label"][named[first]]
            self._labels = {int(number): str(text) for number, text in zip(ids, texts, strict=True)}

    def tracks(self, frame: int) -> Tracks:
        """The tracks of the next frame; frames must come in order, none left out.

        Args:
            frame: Its index.
        """
        first, last = np.searchsorted(self._table.frames, (frame, frame + 1))
        rows = np.arange(first, last)
        table = self._table.where(rows)
        xy = table.xy.astype(np.float32)
        self._past.append((table.ids, xy))
        states = self._states(table)
        return Tracks(
            table.ids,
            xy,
            self._column(table, "score", 1.0).astype(np.float32),
            self._column(table, "length", 1.0).astype(np.int32),
            states,
            states == TrackState.CONFIRMED,
            self._trails(table.ids),
            self._column(table, "sigma_px", np.nan).astype(np.float32),
            self._labels,
            self._born_xy[np.searchsorted(self._born_ids, table.ids)],
        )

    def _trails(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        trails = np.full((len(ids), self._trail_length, 2), np.nan, np.float32)
        for back, (past_ids, past_xy) in enumerate(reversed(self._past), start=1):
            _, here, there = np.intersect1d(ids, past_ids, assume_unique=True, return_indices=True)
            trails[here, -back] = past_xy[there]
        return trails

    @staticmethod
    def _states(table: TrackTable) -> NDArray[np.int8]:
        confirmed = int(TrackState.CONFIRMED)
        if "state" not in table.columns:
            return np.full(len(table), confirmed, np.int8)
        return np.array([_STATES.get(text, confirmed) for text in table.columns["state"]], np.int8)

    @staticmethod
    def _column(table: TrackTable, name: str, usual: float) -> NDArray[np.float64]:
        values = table.columns.get(name)
        return np.full(len(table), usual) if values is None else np.asarray(values, np.float64)
