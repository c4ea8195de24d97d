"""Durations and start times of the stages of one frame."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class StageTimes:
    """Milliseconds that one frame spent in each stage; None where the stage did not run.

    Attributes:
        grab: Reading and decoding the frame.
        queue: Waiting in the queues between the threads.
        resize: Conversion to grey levels and resizing to the network's input size.
        network: Inference, including upload and synchronisation: from submitting the frame to its outputs,
            also with several frames in flight.
        keypoints: Softmax, non-maximum suppression, top-k, sub-pixel refinement, descriptor sampling.
        track: Association and the life cycle of the tracks.
        draw: Overlay and head-up display.
        output: Displaying the frame and passing it to the writers.
        end_to_end: Latency from capture (paced sources: from the due time) to the end of output.
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
    """Start times of a frame in each thread, seconds of `time.perf_counter`; None if it was not processed.

    Attributes:
        grab: Reading, in the capture thread.
        detect: Resizing, in the inference thread; network and keypoints follow immediately.
        track: Tracking, in the tracking thread.
    """

    grab: float | None = None
    detect: float | None = None
    track: float | None = None


STAGES: tuple[str, ...] = tuple(field.name for field in fields(StageTimes))
