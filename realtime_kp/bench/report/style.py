"""Colours and layout that all plots of a report share."""

from __future__ import annotations

from typing import Any

# Colours of Okabe and Ito, which are distinguishable with common colour vision deficiencies.
STAGE_COLOURS = {
    "grab": "#56B4E9",
    "resize": "#999999",
    "network": "#D55E00",
    "keypoints": "#E69F00",
    "track": "#009E73",
    "draw": "#CC79A7",
    "output": "#0072B2",
}
LOOP_COLOURS = ("#0072B2", "#D55E00")
LAYOUT: dict[str, Any] = {
    "template": "plotly_white",
    "font": {"family": "system-ui, sans-serif", "size": 14},
    "margin": {"l": 90, "r": 30, "t": 20, "b": 60},
    "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
}
