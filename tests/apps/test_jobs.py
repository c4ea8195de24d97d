from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from realtime_kp.apps.jobs import output_stem, plan_jobs
from realtime_kp.config import AppConfig, OutputConfig, VideoConfig


def planned(source: str, output: str | None = None) -> tuple[str | None, bool, bool]:
    config = replace(AppConfig(), video=VideoConfig(output=Path(output) if output else None))
    job = plan_jobs([source], config)[0]
    return (str(job.target) if job.target else None, job.pictures, job.into_folder)


@pytest.mark.parametrize(
    ("source", "stem"),
    [
        ("clips/walk.mp4", "walk"),
        ("demo?frames=3", "demo"),
        ("0", "camera0"),
        ("/dev/video2", "video2"),
        ("rtsp://user:secret@camera.local/stream1", "stream1"),
        ("http://camera.local/", "stream"),
        ("frames/*.png", "frames"),
    ],
)
def test_outputs_are_named_after_their_input(source: str, stem: str) -> None:
    assert output_stem(source) == stem


def test_what_exists_is_a_file_whatever_its_name_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = ("My cat [dQw4w9WgXcQ].mp4", "Why?.mkv", "a*b.mov", "take [1] [2].webm")
    for name in names:
        Path(name).touch()
    Path("shots [1].v2").mkdir()
    jobs = plan_jobs([*names, "shots [1].v2"], AppConfig(output=OutputConfig(tracks=Path("t.csv"))))
    assert [str(job.target) for job in jobs] == [
        "My cat [dQw4w9WgXcQ]_tracks.mp4",
        "Why?_tracks.mp4",
        "a*b_tracks.mp4",
        "take [1] [2]_tracks.mp4",
        "shots [1].v2_tracks",
    ]
    assert str(jobs[0].config.output.tracks) == "My cat [dQw4w9WgXcQ]_t.csv"
    assert [job.pictures for job in jobs] == [False, False, False, False, True]


def test_targets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("frames", "out"):
        Path(folder).mkdir()
    Path("one.jpg").touch()
    assert planned("walk.mp4") == ("walk_tracks.mp4", False, False)
    assert planned("walk.mp4", "a.mp4") == ("a.mp4", False, False)
    assert planned("walk.mp4", "out") == ("out/walk_tracks.mp4", False, False)
    assert planned("frames") == ("frames_tracks", True, True)
    assert planned("frames", "new") == ("new", True, True)
    assert planned("frames", "out") == ("out", True, True)
    assert planned("frames", "a.mp4") == ("a.mp4", False, False)
    assert planned("one.jpg") == ("one_tracks.jpg", True, False)
    assert planned("one.jpg", "b.png") == ("b.png", True, False)
    assert planned("one.jpg", "out") == ("out/one_tracks.jpg", True, False)


def test_without_annotation_there_is_no_target() -> None:
    config = replace(AppConfig(), video=VideoConfig(annotate=False))
    assert plan_jobs(["walk.mp4"], config)[0].target is None


def test_results_of_earlier_runs_are_no_inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = ["a.mp4", "a_tracks.mp4", "a_tracks_tracks.mp4", "b.mp4", "other_tracks.mp4"]
    jobs = plan_jobs(found, AppConfig())
    assert [job.source for job in jobs] == ["a.mp4", "b.mp4", "other_tracks.mp4"]
    assert [job.source for job in plan_jobs(["a_tracks.mp4"], AppConfig())] == ["a_tracks.mp4"]
