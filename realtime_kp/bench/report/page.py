"""The report page: one self-contained HTML file with plots by plotly, which only this room imports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from realtime_kp.bench.report.cost_plots import cost_sections
from realtime_kp.bench.report.style import LAYOUT, LOOP_COLOURS, STAGE_COLOURS
from realtime_kp.bench.trace import FrameRecord, Span, lanes, rows_of, spans
from realtime_kp.errors import ConfigError
from realtime_kp.timing import STAGES

if TYPE_CHECKING:
    import plotly.graph_objects as go

TIMELINE_S = 2.0

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font-family: system-ui, sans-serif; max-width: 1100px; margin: 2rem auto; padding: 0 1rem; }}
h1 {{ font-size: 1.6rem; }} h2 {{ font-size: 1.15rem; margin-top: 2.2rem; }}
p {{ line-height: 1.5; color: #444; }}
table {{ border-collapse: collapse; }} td, th {{ padding: .25rem .9rem .25rem 0; text-align: left; }}
th {{ font-weight: 600; border-bottom: 1px solid #ccc; }} td.n, th.n {{ text-align: right; }}
</style>
</head>
<body>
{body}
</body>
</html>
"""


def check_plotly() -> None:
    """Check before a long measurement that the report can be written.

    Raises:
        ConfigError: plotly is not installed.
    """
    try:
        import plotly.io  # noqa: F401
    except ImportError as exc:
        raise ConfigError("--report needs plotly: pip install 'realtime-kp[report]'") from exc


def report_page(values: Mapping[str, Any], loops: Mapping[str, Sequence[FrameRecord]]) -> str:
    """Render the report.

    Args:
        values: The summary of the run, as `--summary` writes it.
        loops: Records of each loop by name.

    Returns:
        Self-contained HTML, which needs neither further files nor a network.

    Raises:
        ConfigError: plotly is not installed.
    """
    check_plotly()
    import plotly.io as pio

    sections = (
        ("Latency", _LATENCY_NOTE, _latency_figure(loops)),
        (f"The first {TIMELINE_S:g} seconds, thread by thread", _TIMELINE_NOTE, _timeline_figure(loops)),
        ("Cost by stage", _STAGES_NOTE, _stage_figure(loops)),
        *cost_sections(values, loops),
    )
    body = [_heading(values), _figures_table(values)]
    for number, (title, note, figure) in enumerate(sections):
        # The first plot includes the script of plotly for all.
        plot = pio.to_html(
            figure, full_html=False, include_plotlyjs=number == 0, config={"displayModeBar": False}
        )
        body.append(f"<h2>{escape(title)}</h2>\n<p>{escape(note)}</p>\n{plot}")
    body.append(_machine_table(values["machine"]))
    return _PAGE.format(title=f"realtime-kp bench: {escape(str(values['source']))}", body="\n".join(body))


_LATENCY_NOTE = (
    "Share of the frames that were done after so many milliseconds, from grab to the end of output; in the "
    "open loop from the moment the frame was due, so that a stall cannot hide itself. Software only: sensor, "
    "driver and display come on top. The closed loop always has the next frame waiting, and its latency "
    "includes that."
)
_TIMELINE_NOTE = (
    "What every thread worked on: bars that lie above each other ran at the same time. Gaps are waiting; in "
    "rows of inference beside each other the network had several frames at once."
)
_STAGES_NOTE = (
    "Milliseconds of each stage over all measured frames: median, quartiles, and whiskers to 1.5 of their "
    "distance."
)


def _latency_figure(loops: Mapping[str, Sequence[FrameRecord]]) -> go.Figure:
    import plotly.graph_objects as go

    figure = go.Figure(layout=LAYOUT)
    for colour, (name, records) in zip(LOOP_COLOURS, loops.items(), strict=False):
        latency_ms = np.sort([record.times_ms.end_to_end or 0.0 for record in records])
        share = np.arange(1, len(latency_ms) + 1) / len(latency_ms)
        figure.add_scatter(
            x=latency_ms, y=share, name=name, mode="lines", line={"shape": "hv", "color": colour}
        )
        p95 = float(np.percentile(latency_ms, 95))
        figure.add_scatter(
            x=[p95],
            y=[0.95],
            name=f"{name} p95",
            mode="markers+text",
            text=[f"p95 {p95:.0f} ms"],
            textposition="middle right",
            marker={"color": colour, "size": 9},
            showlegend=False,
        )
    figure.update_xaxes(title="end-to-end latency, ms", rangemode="tozero")
    figure.update_yaxes(title="share of frames", tickformat=".0%", range=[0, 1.02])
    return figure


def _timeline_figure(loops: Mapping[str, Sequence[FrameRecord]]) -> go.Figure:
    import plotly.graph_objects as go

    figure = go.Figure(layout={**LAYOUT, "barmode": "overlay"})
    rows: list[str] = []
    for loop, records in loops.items():
        shown = _first_seconds(lanes(span for record in records for span in spans(record)))
        rows += [f"{row}, {loop}" for row in rows_of(shown)]
        for stage, colour in STAGE_COLOURS.items():
            found = [span for span in shown if span.stage == stage]
            if found:
                figure.add_bar(
                    base=[(span.start_s - shown[0].start_s) * 1e3 for span in found],
                    x=[span.ms for span in found],
                    y=[f"{span.thread}, {loop}" for span in found],
                    orientation="h",
                    name=stage,
                    legendgroup=stage,
                    showlegend=stage not in {trace.name for trace in figure.data},
                    marker={"color": colour, "line": {"width": 0}},
                    customdata=[span.index for span in found],
                    hovertemplate=f"{stage} of frame %{{customdata}}: %{{x:.1f}} ms<extra></extra>",
                )
    figure.update_layout(height=120 + 45 * len(rows))
    figure.update_yaxes(categoryorder="array", categoryarray=rows[::-1])
    figure.update_xaxes(title="ms")
    return figure


def _first_seconds(found: list[Span]) -> list[Span]:
    return [span for span in found if span.start_s - found[0].start_s < TIMELINE_S]


def _stage_figure(loops: Mapping[str, Sequence[FrameRecord]]) -> go.Figure:
    import plotly.graph_objects as go

    figure = go.Figure(layout={**LAYOUT, "boxmode": "group"})
    for colour, (name, records) in zip(LOOP_COLOURS, loops.items(), strict=False):
        stages, milliseconds = [], []
        for stage in STAGES:
            found = [ms for record in records if (ms := getattr(record.times_ms, stage)) is not None]
            stages += [stage] * len(found)
            milliseconds += found
        figure.add_box(x=stages, y=milliseconds, name=name, marker={"color": colour}, boxpoints=False)
    figure.update_yaxes(title="ms", rangemode="tozero")
    return figure


def _heading(values: Mapping[str, Any]) -> str:
    width, height = values["inference_size"]
    what = (
        f"{values['source']}: {values['model']} on {values['engine']} {values['device']} "
        f"{values['precision']} at {width}x{height}, {values['keypoints_per_frame']:.0f} keypoints a frame"
    )
    return f"<h1>{values['fps']:.1f} frames a second</h1>\n<p>{escape(what)}</p>"


def _figures_table(values: Mapping[str, Any]) -> str:
    rows = [("closed loop", values)]
    if "open_loop" in values:
        rows.append((f"open loop, {values['open_loop']['rate']:g} frames a second due", values["open_loop"]))
    cells = []
    for name, loop in rows:
        latency = loop["latency_ms"]["end_to_end"]
        numbers = [f"{loop['fps']:.1f}", *(f"{latency[p]:.0f}" for p in ("p50", "p95", "p99", "max"))]
        lost, due = loop["measured_dropped"], loop["measured_frames"] + loop["measured_dropped"]
        numbers += [f"{loop['detections_per_s']:.1f}", f"{loop['jitter_ms']:.1f}", f"{lost} of {due}"]
        cells.append((name, numbers))
    heads = ("frames/s", "p50 ms", "p95 ms", "p99 ms", "max ms", "detections/s", "jitter ms", "dropped")
    table = _table(("", *heads), cells)
    if "compare" in values:
        theirs = values["compare"]
        table += (
            f"<p>transformers' own loop on the same frames (fp32, keypoints only): "
            f"{theirs['transformers_fps']:.2f} frames/s; "
            f"this pipeline is {theirs['ratio']:.1f} times as fast.</p>"
        )
    return table


def _machine_table(machine: Mapping[str, Any]) -> str:
    entries = {name: value for name, value in machine.items() if name != "versions"}
    rows = [(name, [str(value)]) for name, value in {**entries, **machine["versions"]}.items()]
    return "<h2>Machine</h2>\n" + _table(("", ""), rows)


def _table(heads: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> str:
    head = "".join(f'<th class="n">{escape(text)}</th>' for text in heads[1:])
    body = "".join(
        f"<tr><td>{escape(name)}</td>"
        + "".join(f'<td class="n">{escape(cell)}</td>' for cell in cells)
        + "</tr>"
        for name, cells in rows
    )
    return f"<table><tr><th>{escape(heads[0])}</th>{head}</tr>{body}</table>"
