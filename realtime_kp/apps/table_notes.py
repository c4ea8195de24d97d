"""What a reader of a table has to know: where it comes from, and what its numbers mean."""

from __future__ import annotations

from typing import Any

from realtime_kp import __version__
from realtime_kp.config import AppConfig
from realtime_kp.pipeline import Pipeline

_COORDINATES = "pixels of the source, x right and y down; the centre of the top left pixel is at (0, 0)"
_SECTIONS = ("superpoint", "tracking", "pipeline", "input")


def table_notes(config: AppConfig, pipeline: Pipeline, size_wh: tuple[int, int] | None) -> dict[str, Any]:
    """Notes of the tables of a run, as plain values.

    Args:
        config: Settings of the run.
        pipeline: Provides source and model.
        size_wh: Width and height of the frames; None where no frame has come: those that
            the source declares, and no model.
    """
    # Before the first frame there is no model.
    info, model = pipeline.source_info, None if size_wh is None else pipeline.model_info
    if size_wh is None and info is not None:
        size_wh = info.size_wh
    return {
        "written_by": f"realtime-kp {__version__}",
        "source": None if info is None else info.name,
        "width": None if size_wh is None else size_wh[0],
        "height": None if size_wh is None else size_wh[1],
        "fps": None if info is None else info.fps,
        "start_s": config.video.start_s,
        "begin_s": 0.0 if info is None else info.begin_s,
        "coordinates": _COORDINATES,
        "model": None if model is None else model.model,
        "precision": None if model is None else model.precision,
        "settings": config.to_dict(_SECTIONS),
    }
