"""Runs that are cut off, and gone on with by the real command."""

from __future__ import annotations

import json
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from realtime_kp.apps import resume
from realtime_kp.cli import main
from tests.apps.command import Command
from tests.conftest import DATA, numbered_image, write_clip

pytestmark = pytest.mark.slow

VIDEO = ["video", "long.mp4", "--model", "small", "--resize", "160", "-q", "-o", "out.mp4"]
OFTEN = ["--video.keep-every-s", "0.1"]
FRAMES = 180


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a clip, and what an undisturbed run makes of it."""
    folder = tmp_path_factory.mktemp("whole")
    with av.open(str(DATA / "box.mp4")) as container:
        images = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    there_and_back = [*images, *images[::-1]]
    images = [there_and_back[i % len(there_and_back)] for i in range(FRAMES)]
    times_s = np.cumsum(np.random.default_rng(0).uniform(0.02, 0.05, FRAMES)).tolist()
    write_clip(folder / "long.mp4", images, times_s=times_s)
    with Command(folder, *VIDEO, "--tracks", "t.csv", "--log", "l.jsonl") as command:
        assert command.ended(120)[0] == 0
    return folder


def begun(whole: Path, folder: Path) -> Path:
    shutil.copy2(whole / "long.mp4", folder / "long.mp4")
    return folder


def shown(path: Path) -> tuple[list[float], np.ndarray[tuple[int, ...], np.dtype[np.float64]]]:
    """Times and pictures of a video."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    pictures = np.stack([frame.to_ndarray(format="gray")[::8, ::8] for frame in frames]).astype(np.float64)
    return [float(frame.pts * frame.time_base) for frame in frames], pictures


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"long.mp4"}


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_cut_off_again_and_again_it_gives_what_an_undisturbed_run_gives(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    folder = begun(whole, tmp_path)
    words = [*VIDEO, "--tracks", f"t{suffix}", "--log", "l.jsonl", "--resume", *OFTEN]
    ends = [signal.SIGKILL, signal.SIGINT, signal.SIGKILL]
    done = 0
    for number in ends:
        with Command(folder, *words) as command:
            command.wait_for(done + 25)
            command.send(number)
            code, errors = command.ended(5)
        assert code == (130 if number == signal.SIGINT else -signal.SIGKILL), errors
        before, done = done, resume.load_state(folder / "out.partial.state").frames
        assert done > before + 5
    with Command(folder, *words, "--summary", "s.json") as command:
        code, errors = command.ended(120)
        assert code == 0, errors
    notes = set() if suffix == ".parquet" else {f"t{suffix}.json"}
    assert names(folder) == {"out.mp4", f"t{suffix}", "l.jsonl", "s.json", *notes}
    assert json.loads((folder / "s.json").read_text())["resumed_at_frame"] == done
    times_s, pictures = shown(folder / "out.mp4")
    wanted_s, wanted = shown(whole / "out.mp4")
    assert times_s == wanted_s
    assert np.abs(pictures - wanted).mean(axis=(1, 2)).max() < 6
    frames = [json.loads(line)["frame"] for line in (folder / "l.jsonl").read_text().splitlines()]
    assert frames == list(range(FRAMES))
    if suffix == ".csv":
        assert (folder / "t.csv").read_bytes() == (whole / "t.csv").read_bytes()
    else:
        assert rows(folder / f"t{suffix}") == rows(whole / "t.csv")


def rows(path: Path) -> list[tuple[float | str, ...]]:
    if path.suffix == ".csv":
        found = [line.split(",") for line in path.read_text().splitlines()[1:]]
    elif path.suffix == ".jsonl":
        found = [list(json.loads(line).values()) for line in path.read_text().splitlines()]
    else:
        import pyarrow.parquet as pq

        found = [list(row.values()) for row in pq.read_table(path).to_pylist()]
    return [(*map(float, numbers), state, label, int(stamp)) for *numbers, state, label, stamp in found]


def test_killed_it_leaves_all_but_the_last_moment(whole: Path, tmp_path: Path) -> None:
    folder = begun(whole, tmp_path)
    with Command(folder, *VIDEO, "--log", "l.jsonl") as command:
        command.wait_for(60)
        command.send(signal.SIGKILL)
        command.ended(5)
        done = command.logged
    locks = {".out.mp4.lock", ".l.jsonl.lock"}
    assert names(folder) == {"out.partial.mkv", "out.partial.state", "l.jsonl", *locks}
    times_s, _ = shown(folder / "out.partial.mkv")
    assert done - 2 <= len(times_s) <= done + 1
    assert times_s == pytest.approx(shown(whole / "out.mp4")[0][: len(times_s)], abs=1e-3)


def cut_off(whole: Path, folder: Path) -> list[str]:
    begun(whole, folder)
    words = [*VIDEO, "--tracks", "t.csv", "--log", "l.jsonl"]
    with Command(folder, *words) as command:
        command.wait_for(10)
        command.send(signal.SIGTERM)
        assert command.ended(5)[0] == 130
    return words


def test_a_table_and_a_video_of_one_stem_have_states_of_their_own(whole: Path, tmp_path: Path) -> None:
    folder = begun(whole, tmp_path)
    words = ["video", "long.mp4", "--model", "small", "--resize", "160", "-q", "--max-frames", "3"]
    with Command(folder, *VIDEO, "--log", "l.jsonl", *OFTEN) as command:
        command.wait_for(10)
        with Command(folder, *words, "--no-video", "--tracks", "out.csv", "--log", "k.jsonl") as other:
            assert other.ended(60)[0] == 0
        assert (folder / "out.partial.state").exists()
        command.send(signal.SIGTERM)
        assert command.ended(10)[0] == 130


def test_it_is_not_begun_anew_unasked(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = cut_off(whole, tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main(words) == 5
    assert "--resume continues it, --overwrite starts again" in capsys.readouterr().err
    assert main([*words, "--resume", "--nms-radius", "3"]) == 2
    assert "superpoint.nms_radius was 4 and is 3" in capsys.readouterr().err
    assert main([*words, "--overwrite", "--max-frames", "3"]) == 0
    assert len(shown(Path("out.mp4"))[0]) == 3
    assert not Path("out.partial.state").exists()


def version(path: Path) -> tuple[int, int, int]:
    """What changes when the file is replaced or written, and not when it is only read."""
    stat = path.stat()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def test_what_is_done_is_left_alone(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(begun(whole, tmp_path))
    words = [word for word in VIDEO if word != "-q"] + ["--max-frames", "3", "--resume"]
    assert main(words) == 0
    written = version(Path("out.mp4"))
    assert main(words) == 0
    assert "out.mp4 exists already" in capsys.readouterr().err
    assert version(Path("out.mp4")) == written


@pytest.mark.parametrize("damage", ["cut", "nonsense", "other tracker", "video gone"])
def test_a_damaged_state_is_refused_and_nothing_lost(
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    damage: str,
) -> None:
    words = cut_off(whole, tmp_path)
    monkeypatch.chdir(tmp_path)
    path = Path("out.partial.state")
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:1000])
    elif damage == "nonsense":
        path.write_text("nonsense")
    elif damage == "other tracker":
        state = resume.load_state(path)
        resume.save_state(path, replace(state, tracker=b"none"))
    else:
        Path("out.mp4").unlink()
    kept = Path("t.csv").read_bytes()
    assert main([*words, "--resume"]) == 5
    assert "start again with --overwrite" in capsys.readouterr().err or damage == "video gone"
    assert Path("t.csv").read_bytes() == kept


@pytest.mark.parametrize("words", [["--features", "f.safetensors"], ["--no-video"]])
def test_what_cannot_be_gone_on_with_is_said(
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
) -> None:
    monkeypatch.chdir(begun(whole, tmp_path))
    assert main([*VIDEO, *words, "--resume"]) == 2
    assert "--resume cannot continue long.mp4" in capsys.readouterr().err


def test_what_cannot_all_be_gone_on_with_is_left_as_it_was(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = cut_off(whole, tmp_path)
    monkeypatch.chdir(tmp_path)
    Path("t.csv").unlink()
    shutil.copy("out.mp4", "before.mp4")
    assert main([*words, "--resume"]) == 5
    assert "cannot continue t.csv" in capsys.readouterr().err
    assert Path("out.mp4").read_bytes() == Path("before.mp4").read_bytes()
    assert Path("out.partial.state").exists()


def test_what_is_left_of_an_older_run_is_not_taken_for_this_one(whole: Path, tmp_path: Path) -> None:
    folder = begun(whole, tmp_path)
    shutil.copy(whole / "long.mp4", folder / "out.earlier.mkv")
    with Command(folder, *VIDEO, "--log", "l.jsonl") as command:
        command.wait_for(20)
        command.send(signal.SIGKILL)
        command.ended(5)
    assert not (folder / "out.earlier.mkv").exists()


def test_a_video_that_lost_frames_is_not_gone_on_with(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = cut_off(whole, tmp_path)
    monkeypatch.chdir(tmp_path)
    state = resume.load_state(Path("out.partial.state"))
    assert state.video is not None
    times = np.arange(500, dtype=np.int64) * 3000
    resume.save_state(Path("out.partial.state"), replace(state, video=replace(state.video, times=times)))
    before = Path("out.mp4").read_bytes()
    assert main([*words, "--resume"]) == 5
    assert "of 500 frames; start again with --overwrite" in capsys.readouterr().err
    assert Path("out.mp4").read_bytes() == before
    assert not Path("out.partial.mkv").exists()


def test_what_is_done_lacks_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip, done = write_clip(tmp_path / "c.mp4", [np.zeros((48, 64, 3), np.uint8)] * 2), tmp_path / "done.mp4"
    shutil.copy(clip, done)
    command = ["video", str(clip), "-o", str(done), "--resume", "-q"]
    assert main(command) == 0
    assert main([*command, "--tracks", str(tmp_path / "t.csv")]) == 5
    assert "t.csv, which belongs to it, is not" in capsys.readouterr().err


@pytest.mark.parametrize("replaced", ["changed", "by an older one", "a picture added"])
@pytest.mark.parametrize("outputs", [["-o", "done.mp4"], ["--no-video", "--tracks", "t.csv"]])
def test_what_is_done_from_another_input_is_not_left_alone(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    replaced: str,
    outputs: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    source = Path("in" if replaced == "a picture added" else "clip.mp4")
    pictures = [numbered_image(i) for i in range(3)]
    if source.suffix:
        write_clip(source, pictures)
    else:
        source.mkdir()
        cv2.imwrite("in/0.png", pictures[0])
    command = ["video", str(source), *outputs, "--resume", "-q", "--model", "small", "--resize", "160"]
    assert main(command) == 0
    assert main(command) == 0
    if not source.suffix:
        cv2.imwrite("in/1.png", pictures[1])
    else:
        write_clip(source, pictures[:2])
    if replaced == "by an older one":
        os.utime(source, (1e9, 1e9))
    known = replaced != "by an older one" or "-o" in outputs
    assert main(command) == (5 if known else 0)
    if known:
        told = capsys.readouterr().err.splitlines()[-1]
        assert told.startswith(f"realtime-kp: {source} was changed or replaced after {outputs[-1]} was made")
        assert "--overwrite" in told
        assert main([*command, "--overwrite"]) == 0
        assert main(command) == 0


def test_an_input_with_a_clock_ahead_is_no_other_input(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(clip.parent)
    os.utime(clip, (4e9, 4e9))
    for _ in range(2):
        assert main(["video", clip.name, "-o", "done.mp4", "--resume", "-q", "--model", "small"]) == 0
