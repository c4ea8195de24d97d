"""The tables that `evaluate` prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.table import Table

from realtime_kp.apps.evaluate.figures import ROOMS, Figures
from realtime_kp.apps.summary import figures_table
from realtime_kp.evaluation.homography_pairs import Pair

_SCORE_HEADS = {
    "repeated": "repeatability",
    "px": "localisation_px",
    "matches ≤ 1": "matches_1px",
    "≤ 3 px": "matches_3px",
    "homographies ≤ 1": "homography_1px",
    "≤ 3": "homography_3px",
    "≤ 5 px": "homography_5px",
}
_ROOM_HEADS = {
    "repeated": "repeatability",
    "px": "localisation_px",
    "matches ≤ 1": "matches_1px",
    "≤ 3 px": "matches_3px",
    "right": "right",
}
_PLANE_HEADS = {"plane ≤ 3": "plane_3px"}
_VIDEO_HEADS = {"right": "right", "of all, ≤ 1": "matches_1px", "≤ 3 px": "matches_3px"}


def result_tables(
    results: dict[str, Figures], pairs: Sequence[Pair], rooms: int, videos: Mapping[str, int]
) -> Iterator[Table]:
    """One table for each kind of pair, for rooms, for each video, and for tracks on known motion.

    Args:
        results: Figures of each method.
        pairs: The pairs of pictures.
        rooms: Number of pairs of pictures of rooms.
        videos: Number of pairs of frames of each video.
    """
    for kind in ("illumination", "viewpoint", "real"):
        count = sum(pair.kind == kind for pair in pairs)
        if count == 0:
            continue
        heads = _SCORE_HEADS | (_PLANE_HEADS if kind == "real" else {})
        table = figures_table(f"{count} pairs, {kind}", "method", heads)
        for name, result in results.items():
            if kind in result:
                figures = (result[kind][field] for field in heads.values())
                table.add_row(name, *(figure.text(2 if i == 1 else 3) for i, figure in enumerate(figures)))
        yield table
    if rooms:
        table = figures_table(f"{rooms} pairs, rooms", "method", _ROOM_HEADS)
        for name, result in results.items():
            *shares, right = (result[ROOMS][field] for field in _ROOM_HEADS.values())
            digits = zip(shares, (3, 2, 3, 3), strict=True)
            table.add_row(name, *(share.text(places) for share, places in digits), right.text(0))
        yield table
    for video, count in videos.items():
        table = figures_table(f"{count} pairs of {video}", "method", _VIDEO_HEADS)
        for name, result in results.items():
            if video in result:
                right, *shares = (result[video][field] for field in _VIDEO_HEADS.values())
                table.add_row(name, right.text(0), *(share.text(3) for share in shares))
        yield table
    tracked = {name: result["known_motion"] for name, result in results.items() if "known_motion" in result}
    if tracked:
        table = figures_table("known motion, descriptor tracker", "method", ("mean length", "steps ≤ 1 px"))
        for name, found in tracked.items():
            table.add_row(name, found["mean_length"].text(1), found["within_1px"].text(1, percent=True))
        yield table
