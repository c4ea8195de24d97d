from __future__ import annotations

import json
from typing import Any

import pytest

from realtime_kp.errors import ArgumentError
from realtime_kp.serve import Clicked, Dragged, KeyPressed, SettingChanged
from realtime_kp.serve.requests import message_of, request_of


@pytest.mark.parametrize(
    ("values", "request_"),
    [
        ({"type": "key", "key": " "}, KeyPressed(" ")),
        ({"type": "click", "x": 1.5, "y": 2}, Clicked(1.5, 2.0)),
        (
            {"type": "click", "x": 1, "y": 2, "button": "right", "frame": 7, "drawn": True},
            Clicked(1.0, 2.0, right=True, frame=7, drawn=True),
        ),
        ({"type": "drag", "x0": 1, "y0": 2, "x1": 3, "y1": 4}, Dragged((1.0, 2.0, 3.0, 4.0))),
        ({"type": "set", "threshold": 0.5}, SettingChanged(threshold=0.5)),
        ({"type": "set", "max_keypoints": 100}, SettingChanged(max_keypoints=100)),
    ],
)
def test_what_viewers_may_ask_for(values: dict[str, Any], request_: object) -> None:
    assert request_of(message_of(json.dumps(values))) == request_


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "7", '"key"', "{}", '{"type": 7}', '{"type": null}', "[" * 100_000, "\ud800"],
)
def test_what_is_no_message(text: str) -> None:
    with pytest.raises(ArgumentError):
        message_of(text)


@pytest.mark.parametrize(
    "values",
    [
        {"type": "quit"},
        {"type": "key"},
        {"type": "key", "key": "q"},
        {"type": "key", "key": "h"},
        {"type": "key", "key": ""},
        {"type": "key", "key": "kt"},
        {"type": "key", "key": ["k"]},
        {"type": "click"},
        {"type": "click", "x": 1},
        {"type": "click", "x": "1", "y": 2},
        {"type": "click", "x": True, "y": 2},
        {"type": "click", "x": 1e9, "y": 2},
        {"type": "click", "x": 10**400, "y": 2},
        {"type": "click", "x": float("nan"), "y": 2},
        {"type": "click", "x": float("inf"), "y": 2},
        {"type": "click", "x": 1, "y": 2, "frame": -1},
        {"type": "click", "x": 1, "y": 2, "frame": "7"},
        {"type": "drag", "x0": 1, "y0": 2, "x1": 3},
        {"type": "drag", "x0": 1, "y0": 2, "x1": 3, "y1": {}},
        {"type": "set", "threshold": 2},
        {"type": "set", "threshold": None},
        {"type": "set", "max_keypoints": 0},
        {"type": "set", "max_keypoints": 1e9},
    ],
)
def test_what_viewers_may_not_ask_for(values: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError):
        request_of(values)
