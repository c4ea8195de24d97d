from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from realtime_kp.errors import SinkError
from realtime_kp.keypoints import Keypoints, TrackedFrame, Tracks, TrackState
from realtime_kp.sinks import FrameLog, check_output
from realtime_kp.timing import STAGES, StageTimes
from tests.conftest import make_frame


def test_new_file_in_a_folder_is_accepted(tmp_path: Path) -> None:
    check_output(
        tmp_path / "a.mp4", overwrite=False, inputs=["0", "rtsp://camera/live", str(tmp_path / "in.mp4")]
    )
    assert list(tmp_path.iterdir()) == []


def test_relative_name_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check_output(Path("a.mp4"), overwrite=False, inputs=["in.mp4"])


def test_existing_file_is_replaced_only_on_request(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_text("older")
    with pytest.raises(SinkError, match=r"a\.mp4 exists already; add --overwrite"):
        check_output(path, overwrite=False)
    check_output(path, overwrite=True)
    assert path.read_text() == "older"


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("way", ["same", "symlink", "hard link", "detour"])
def test_input_is_never_an_output(tmp_path: Path, way: str, overwrite: bool) -> None:
    source, output = tmp_path / "in.mp4", tmp_path / "out.mp4"
    source.write_text("input")
    if way == "same":
        output = source
    elif way == "symlink":
        output.symlink_to(source)
    elif way == "hard link":
        os.link(source, output)
    else:
        (tmp_path / "folder").mkdir()
        output = tmp_path / "folder" / ".." / "in.mp4"
    with pytest.raises(SinkError, match="the input itself"):
        check_output(output, overwrite=overwrite, inputs=["demo", str(source)])


@pytest.mark.parametrize("overwrite", [False, True])
def test_input_is_never_the_file_that_the_output_grows_in(tmp_path: Path, overwrite: bool) -> None:
    kept = tmp_path / "clip.partial.mkv"
    kept.write_text("what an earlier run left")
    with pytest.raises(SinkError, match="the input itself"):
        check_output(tmp_path / "clip.mp4", overwrite=overwrite, inputs=[str(kept)])


def test_folder_is_no_output_file(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="it is a folder"):
        check_output(tmp_path, overwrite=True)


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"the folder .*gone does not exist"):
        check_output(tmp_path / "gone" / "a.mp4", overwrite=False)


def test_file_in_place_of_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(SinkError, match="cannot write"):
        check_output(tmp_path / "file" / "a.mp4", overwrite=False)


def test_folder_without_permission_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: not (Path(path) == tmp_path and mode & os.W_OK))
    with pytest.raises(SinkError, match="no permission to write"):
        check_output(tmp_path / "a.mp4", overwrite=False)


def tracked(index: int, keypoints: int | None, states: list[tuple[TrackState, bool]]) -> TrackedFrame:
    n = len(states)
    tracks = Tracks(
        np.arange(1, n + 1, dtype=np.int64),
        np.zeros((n, 2), np.float32),
        np.zeros(n, np.float32),
        np.ones(n, np.int32),
        np.array([state for state, _ in states], np.int8),
        np.array([seen for _, seen in states], np.bool_),
        np.zeros((n, 1, 2), np.float32),
    )
    found = None
    if keypoints is not None:
        found = Keypoints(
            np.zeros((keypoints, 2), np.float32),
            np.zeros(keypoints, np.float32),
            np.zeros((keypoints, 8), np.float32),
        )
    return TrackedFrame(make_frame(index, time_s=index / 3), found, tracks, detection_age=0)


def test_log_has_one_line_of_json_a_frame(tmp_path: Path) -> None:
    every = StageTimes(**{stage: number + 0.12345 for number, stage in enumerate(STAGES)})
    confirmed, tentative = TrackState.CONFIRMED, TrackState.TENTATIVE
    with FrameLog(tmp_path / "log.jsonl") as log:
        log.write(tracked(0, 7, [(confirmed, True), (confirmed, False), (tentative, True)]), every)
        log.write(tracked(1, 0, []), StageTimes(grab=1.5, end_to_end=20))
        log.write(tracked(2, None, [(confirmed, True)] * 3), StageTimes())
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines == [
        {
            "frame": 0,
            "time_s": 0.0,
            "time_ns": 0,
            "keypoints": 7,
            "detection_age": 0,
            "tracks": 1,
            "ms": {stage: round(number + 0.12345, 3) for number, stage in enumerate(STAGES)},
        },
        {
            "frame": 1,
            "time_s": 0.333333333,
            "time_ns": 333333333,
            "keypoints": 0,
            "detection_age": 0,
            "tracks": 0,
            "ms": {"grab": 1.5, "end_to_end": 20},
        },
        {
            "frame": 2,
            "time_s": 0.666666667,
            "time_ns": 666666667,
            "keypoints": None,
            "detection_age": 0,
            "tracks": 3,
            "ms": {},
        },
    ]


def test_log_stands_line_by_line_while_it_grows(tmp_path: Path) -> None:
    with FrameLog(tmp_path / "log.jsonl") as log:
        for index in range(3):
            log.write(tracked(index, 1, []), StageTimes(grab=1))
            assert len((tmp_path / "log.jsonl").read_text().splitlines()) == index + 1


def test_log_of_a_failed_run_keeps_its_lines(tmp_path: Path) -> None:
    with pytest.raises(KeyError), FrameLog(tmp_path / "log.jsonl") as log:  # noqa: PT012
        log.write(tracked(0, 1, []), StageTimes())
        raise KeyError
    assert json.loads((tmp_path / "log.jsonl").read_text())["frame"] == 0


def test_log_in_a_missing_folder_is_an_error_of_the_output(tmp_path: Path) -> None:
    with (
        pytest.raises(SinkError, match=r"cannot write .*log\.jsonl"),
        FrameLog(tmp_path / "gone" / "log.jsonl"),
    ):
        pass


def test_log_on_a_full_disk_is_an_error_of_the_output() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("needs /dev/full")
    with pytest.raises(SinkError, match="cannot write /dev/full"), FrameLog(full) as log:
        log.write(tracked(0, 1, []), StageTimes())
