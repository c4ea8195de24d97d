"""Keypoints of a source without tracks."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator

from realtime_kp.config import AppConfig
from realtime_kp.features import Extraction, Extractor
from realtime_kp.features.extractor import Results, submit_masked
from realtime_kp.frame import Frame
from realtime_kp.pipeline.build import preparation
from realtime_kp.sources import FrameSource, Regions


def detections(
    source: FrameSource, config: AppConfig, superpoint: Extractor
) -> Generator[tuple[Frame, Extraction], None, None]:
    """Frames of a recording, as a pipeline prepares them, and what the network finds in each.

    Args:
        source: The recording, open.
        config: All settings.
        superpoint: The network, entered.

    Raises:
        ConfigError: The lens or the regions do not fit the frames.
        SourceError: The source or a mask cannot be read.
    """
    regions, steps = Regions(config.input), preparation(config)
    pending: deque[tuple[Frame, Results]] = deque()
    try:
        for frame in source:
            frame = regions.on(frame)
            for step in steps:
                frame = step(frame)
            pending.append((frame, submit_masked(superpoint, [frame.analysed_bgr], None, [frame.mask])))
            while len(pending) >= superpoint.in_flight:
                yield _result(*pending.popleft())
        while pending:
            yield _result(*pending.popleft())
    finally:
        # Where the caller has had enough, the network has to be free for the next one.
        for _, results in pending:
            results()


def _result(frame: Frame, results: Results) -> tuple[Frame, Extraction]:
    return frame, results()[0]
