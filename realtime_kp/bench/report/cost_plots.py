"""Plots of cost against image size, keypoints, tracks and time, and of compared loops."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from realtime_kp.bench.report.style import LAYOUT, LOOP_COLOURS, STAGE_COLOURS
from realtime_kp.bench.trace import FrameRecord

if TYPE_CHECKING:
    import plotly.graph_objects as go

# Title, caption, plot.
Section = tuple[str, str, "go.Figure"]

_SMOOTH_FRAMES = 15
_CLIP_STAGES = ("network", "keypoints", "track", "draw")


def cost_sections(values: Mapping[str, Any], loops: Mapping[str, Sequence[FrameRecord]]) -> Iterator[Section]:
    """Sections of the report for which the summary and the records have data.

    Args:
        values: The summary of the run.
        loops: Records of each loop by name.
    """
    sweep = values.get("sweep", [])
    if sweep or "compare" in values:
        yield "Side by side", _SIDE_NOTE, _side_by_side(values)
    if "pieces" in values:
        yield "Each stage by itself", _STAGE_COST_NOTE, _stage_cost_figure(values["pieces"])
    for axis, title, note in (
        ("resize", "Cost against pixels", _PIXELS_NOTE),
        ("keypoints", "Cost against keypoints", _KEYPOINTS_NOTE),
    ):
        lines = list(changed_alone(sweep, axis))
        if lines:
            yield title, note, _cost_figure(lines, axis)
    yield "Tracking against tracks", _TRACKS_NOTE, _tracks_figure(loops)
    yield "Along the clip", _CLIP_NOTE, _clip_figure(loops)


_SIDE_NOTE = (
    "Frames a second, measured in turn, medians of the rounds. Ours decode, track and draw as well; "
    "transformers' loops only find keypoints, ORB and SIFT also match them with the frame before."
)
_STAGE_COST_NOTE = (
    "Processor time of all cores a frame, each stage running alone: what is left when nothing fights over "
    "the cores. The sum over the number of cores is the least that a frame can take."
)
_PIXELS_NOTE = (
    "Processor time of a whole frame against the pixels that the network sees: the network grows with them "
    "in proportion, decoding, tracking and drawing stay."
)
_KEYPOINTS_NOTE = (
    "Processor time of a whole frame against the keypoints that were found. Describing and following them "
    "grows in proportion; matching compares all with all and grows with their square."
)
_TRACKS_NOTE = "What tracking one frame took against the tracks that were alive, lost ones included."
_CLIP_NOTE = f"Medians of {_SMOOTH_FRAMES} frames along the clip. Nothing grows with its length."


def changed_alone(
    sweep: Sequence[Mapping[str, Any]], axis: str
) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    """Entries of a sweep that differ in one axis only, grouped by their common settings.

    Args:
        sweep: As in the summary.
        axis: The axis.
    """
    lines: dict[str, list[Mapping[str, Any]]] = {}
    for entry in sweep:
        if axis in entry["settings"]:
            name = " ".join(value for key, value in entry["settings"].items() if key != axis)
            lines.setdefault(name, []).append(entry)
    yield from ((name, line) for name, line in lines.items() if len(line) > 1)


def _side_by_side(values: Mapping[str, Any]) -> go.Figure:
    import plotly.graph_objects as go

    bars = [(" ".join(e["settings"].values()), e["fps"], True) for e in values.get("sweep", [])]
    bars = bars or [("this pipeline", values["fps"], True)]
    bars += [(name, loop["fps"], False) for name, loop in values.get("compare", {}).get("loops", {}).items()]
    names, fps, ours = zip(*bars, strict=True)
    figure = go.Figure(
        layout={**LAYOUT, "height": 140 + 34 * len(bars), "margin": {**LAYOUT["margin"], "l": 190}}
    )
    figure.add_bar(
        x=fps,
        y=names,
        orientation="h",
        text=[f"{value:.1f}" for value in fps],
        marker={"color": [LOOP_COLOURS[0] if mine else "#999999" for mine in ours]},
    )
    figure.update_xaxes(title="frames a second")
    figure.update_yaxes(autorange="reversed")
    return figure


def _stage_cost_figure(pieces: Mapping[str, Mapping[str, float]]) -> go.Figure:
    import plotly.graph_objects as go

    figure = go.Figure(layout={**LAYOUT, "barmode": "stack", "height": 220})
    for stage, cost in pieces.items():
        figure.add_bar(
            x=[cost["core_ms"]],
            y=["a frame"],
            orientation="h",
            name=stage,
            marker={"color": STAGE_COLOURS[stage]},
            hovertemplate=f"{stage}: %{{x:.1f}} core-ms<extra></extra>",
        )
    figure.update_xaxes(title="core-milliseconds")
    return figure


def _cost_figure(lines: Sequence[tuple[str, Sequence[Mapping[str, Any]]]], axis: str) -> go.Figure:
    import plotly.graph_objects as go

    figure = go.Figure(layout=LAYOUT)
    for name, line in lines:
        xs = [_megapixels(e) if axis == "resize" else e["keypoints_per_frame"] for e in line]
        order = np.argsort(xs)
        figure.add_scatter(
            x=[xs[i] for i in order],
            y=[line[i]["core_ms"] for i in order],
            name=name or "this pipeline",
            mode="lines+markers",
        )
    figure.update_xaxes(title="megapixels" if axis == "resize" else "keypoints a frame", rangemode="tozero")
    figure.update_yaxes(title="core-milliseconds a frame", rangemode="tozero")
    return figure


def _megapixels(entry: Mapping[str, Any]) -> float:
    width, height = entry["inference_size"]
    return float(width * height / 1e6)


def _tracks_figure(loops: Mapping[str, Sequence[FrameRecord]]) -> go.Figure:
    import plotly.graph_objects as go

    figure = go.Figure(layout=LAYOUT)
    for colour, (name, records) in zip(LOOP_COLOURS, loops.items(), strict=False):
        tracked = [record for record in records if record.times_ms.track is not None]
        figure.add_scatter(
            x=[record.tracks for record in tracked],
            y=[record.times_ms.track for record in tracked],
            name=name,
            mode="markers",
            marker={"color": colour, "opacity": 0.6},
        )
    figure.update_xaxes(title="tracks alive", rangemode="tozero")
    figure.update_yaxes(title="track, ms", rangemode="tozero")
    return figure


def _clip_figure(loops: Mapping[str, Sequence[FrameRecord]]) -> go.Figure:
    import plotly.graph_objects as go

    figure = go.Figure(layout=LAYOUT)
    name, records = next(iter(loops.items()))
    for stage in _CLIP_STAGES:
        times = [(r.index, ms) for r in records if (ms := getattr(r.times_ms, stage)) is not None]
        if len(times) < _SMOOTH_FRAMES:
            continue
        index, ms = np.array(times).T
        windows = np.lib.stride_tricks.sliding_window_view(ms, _SMOOTH_FRAMES)
        figure.add_scatter(
            x=index[_SMOOTH_FRAMES // 2 :][: len(windows)],
            y=np.median(windows, axis=1),
            name=f"{stage}, {name}",
            mode="lines",
            line={"color": STAGE_COLOURS[stage]},
        )
    figure.update_xaxes(title="frame")
    figure.update_yaxes(title="ms", rangemode="tozero")
    return figure
