"""Figures of a run in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from realtime_kp.serve.view import LiveStatus


@dataclass(frozen=True, slots=True)
class ViewerCounts:
    """Viewers by what they watch.

    Attributes:
        connected: Number of viewers now.
        sent: Number of items that were sent to all viewers so far.
        skipped: Number of items that slow ones did not get.
        refused: Number of messages and requests that were refused, by reason.
    """

    connected: Mapping[str, int] = field(default_factory=dict)
    sent: Mapping[str, int] = field(default_factory=dict)
    skipped: Mapping[str, int] = field(default_factory=dict)
    refused: Mapping[str, int] = field(default_factory=dict)


def metrics_text(status: LiveStatus, viewers: ViewerCounts) -> bytes:
    """All figures, in the text format of Prometheus (version 0.0.4)."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(status, viewers))
    return generate_latest(registry)


class _Figures(Collector):
    def __init__(self, status: LiveStatus, viewers: ViewerCounts) -> None:
        self._status = status
        self._viewers = viewers

    def collect(self) -> Iterable[Metric]:
        yield from _of_run(self._status)
        yield from _of_viewers(self._viewers)


def _of_run(status: LiveStatus) -> Iterable[Metric]:
    figures = status.figures
    yield _gauge("source_up", "1 while frames come from the source", status.phase == "running")
    yield _gauge("paused", "1 while the user has paused", status.paused)
    yield _gauge("fps", "Frames per second, recently", figures.fps)
    yield _gauge("detections_per_second", "Detections per second, recently", figures.detections_per_s)
    yield _gauge("tracks", "Confirmed tracks in the newest frame", figures.tracks)
    if figures.keypoints is not None:
        yield _gauge("keypoints", "Keypoints in the newest detection", figures.keypoints)
    if figures.detection_age is not None:
        yield _gauge("detection_age_frames", "Age of the newest detection", figures.detection_age)
    latency = GaugeMetricFamily(
        "realtime_kp_latency_seconds", "From capture until the frame was handed over", labels=["quantile"]
    )
    for quantile, value_ms in (("0.5", figures.latency_p50_ms), ("0.95", figures.latency_p95_ms)):
        if value_ms is not None:
            latency.add_metric([quantile], value_ms / 1e3)
    yield latency
    frames = CounterMetricFamily("realtime_kp_frames", "Frames of the source", labels=["state"])
    for state in ("read", "processed", "dropped"):
        frames.add_metric([state], getattr(figures, state))
    yield frames


def _of_viewers(viewers: ViewerCounts) -> Iterable[Metric]:
    connected = GaugeMetricFamily("realtime_kp_viewers", "Viewers by what they watch", labels=["stream"])
    for stream, count in viewers.connected.items():
        connected.add_metric([stream], count)
    yield connected
    for name, what, counts, label in (
        ("sent", "Items sent to viewers", viewers.sent, "stream"),
        ("skipped", "Items that slow viewers did not get", viewers.skipped, "stream"),
        ("refused", "Messages and requests that were refused", viewers.refused, "reason"),
    ):
        family = CounterMetricFamily(f"realtime_kp_{name}", what, labels=[label])
        for value, count in counts.items():
            family.add_metric([value], count)
        yield family


def _gauge(name: str, what: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"realtime_kp_{name}", what, value=float(value))
