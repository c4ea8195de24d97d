"""Keypoints of a piece of a video, for the worker that tracks it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import closing

from realtime_kp.apps.fleet.pieces import MARGIN_S, Found, Piece, key_of
from realtime_kp.apps.jobs import Job
from realtime_kp.errors import SourceError
from realtime_kp.features import Extractor
from realtime_kp.pipeline import detections
from realtime_kp.sources import SourceKind, open_source, source_kind

log = logging.getLogger(__name__)

_BATCH = 32

# Gives away what was found in frames that follow each other; returns whether more are wanted.
Offer = Callable[[Sequence[Found]], bool]


def may_be_cut(job: Job) -> bool:
    """Whether keypoints of a part of a video can be found without what comes before it."""
    config = job.config
    seekable = source_kind(job.source) in (SourceKind.VIDEO, SourceKind.DEMO) and not job.parts
    masked_by_frame = config.input.mask is not None and config.input.mask.is_dir()
    every_frame = config.pipeline.detection_interval in ("auto", 1)
    return seekable and every_frame and not masked_by_frame and config.input.ignore == "nothing"


def find_keypoints(
    job: Job, piece: Piece, superpoint: Extractor, stopped: Callable[[], bool], offer: Offer
) -> None:
    """Find the keypoints of a piece, and of a little around it.

    Args:
        job: The video.
        piece: The part of it.
        superpoint: The network, entered.
        stopped: Asked again and again; True ends it.
        offer: Called with what was found, in order.
    """
    start_s = max(job.config.video.start_s, piece.start_s - MARGIN_S, 0.0)
    found: list[Found] = []
    try:
        with (
            open_source(job.source, job.config.input, start_s=start_s) as source,
            closing(detections(source, job.config, superpoint)) as detected,
        ):
            for frame, extraction in detected:
                if stopped() or frame.time_s > piece.end_s + MARGIN_S:
                    break
                found.append(Found(frame.time_s, key_of(frame), extraction))
                if len(found) == _BATCH:
                    if not offer(found):
                        return
                    found = []
    except SourceError as exc:
        log.debug("%s", exc)  # the worker that tracks comes to the same place, and tells it
    if found:
        offer(found)
