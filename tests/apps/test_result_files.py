"""Result files of runs that are gone on with, and stopped before their first frame."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Self

import pytest

from realtime_kp.apps.result_files import Tables
from realtime_kp.apps.resume import RunState
from realtime_kp.config import AppConfig, OutputConfig, SuperPointConfig, TrackingConfig
from realtime_kp.features import SuperPoint
from realtime_kp.pipeline import Pipeline
from realtime_kp.sources import Scene, open_source, procedural_picture
from realtime_kp.tracking import Tracker
from tests.conftest import within, write_clip

SCENE = Scene(procedural_picture((300, 240), 3), (160, 120))
EARLIER = {"model": "small", "width": 160}


class SlowToLoad(SuperPoint):
    """A network that is loaded when it may be."""

    def __init__(self) -> None:
        super().__init__(SuperPointConfig(model="small"))
        self.may_load = threading.Event()

    def __enter__(self) -> Self:
        assert self.may_load.wait(60)
        return super().__enter__()


@pytest.mark.parametrize("told", [True, False])
def test_stopped_while_the_network_is_loaded(tmp_path: Path, told: bool) -> None:
    write_clip(tmp_path / "a.mp4", [SCENE.render(i) for i in range(3)], fps=25)
    table, notes = tmp_path / "t.csv", tmp_path / "t.csv.json"
    head = "frame,time_s,track_id,x,y,score,length,sigma_px,state,label,time_ns\n"
    table.write_text(head)
    if told:
        notes.write_text(json.dumps(EARLIER))
    network = SlowToLoad()
    pipeline = Pipeline(open_source(str(tmp_path / "a.mp4")), network, Tracker(TrackingConfig()))
    state = RunState(0, {}, b"", None, len(head), None)
    with pipeline:
        try:
            assert within(30, lambda: pipeline.source_info is not None)
            with Tables(AppConfig(output=OutputConfig(tracks=table)), pipeline, state) as tables:
                tables.open()
        finally:
            network.may_load.set()
    found = json.loads(notes.read_text())
    if told:
        assert found == EARLIER
    else:
        assert (found["width"], found["height"], found["model"]) == (160, 120, None)
