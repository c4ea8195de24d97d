"""What each stage of one frame took, and when."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class StageTimes:
    """Milliseconds that one frame spent in each stage; None where the stage did not run.

    Attributes:
        grab: Reading and decoding the frame.
        queue: Waiting in the channels between the threads.
        resize: True grey and fixed resizing.
        network: Convolutions, upload and synchronisation included; from handing the frame over to having the
            outputs, also where the network has several frames at once.
        keypoints: Soft-max, non-maximum suppression, top-k, sub-pixel step, descriptors.
        track: Matching and the life cycle of the tracks.
        draw: Overlay and HUD.
        output: Showing the frame and handing it to the writers.
        end_to_end: From grab (paced sources: from the moment the frame was due) to the end of output.
    """

    grab: float | None = None
    queue: float | None = None
    resize: float | None = None
    network: float | None = None
    keypoints: float | None = None
    track: float | None = None
    draw: float | None = None
    output: float | None = None
    end_to_end: float | None = None


@dataclass(frozen=True, slots=True)
class StageStarts:
    """When the threads began with a frame, seconds of `time.perf_counter`; None where one did not.

    Attributes:
        grab: The capture thread, with reading.
        detect: The inference thread, with resizing; network and keypoints follow at once.
        track: The tracking thread.
    """

    grab: float | None = None
    detect: float | None = None
    track: float | None = None


STAGES: tuple[str, ...] = tuple(field.name for field in fields(StageTimes))
