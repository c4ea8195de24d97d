"""`export`, and `--export` of `video` and `live`, through the whole command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from realtime_kp.cli import main
from realtime_kp.exports import read_tracks
from tests.apps.command import Command

RUN = ["--model", "small", "--resize", "320", "-q"]
VIDEO = ["video", "demo?size=320x240", "--max-frames", "6", "--no-video", *RUN]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_saved_table_is_exported(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*VIDEO, "--tracks", "t.parquet"]) == 0
    assert main(["export", "t.parquet", "--to", "tapvid", "-o", "t.npz", "--min-length", "4"]) == 0
    assert "tracks: t.npz" in capsys.readouterr().out
    table = read_tracks("t.parquet")
    with np.load("t.npz") as file:
        assert file["points"].shape == (sum(len(rows) >= 4 for _, rows in table.tracks()), 6, 2)
        track_id = int(file["ids"][0])
        places = file["points"][0] * (320, 240) - 0.5
    one = table.track(track_id)
    np.testing.assert_allclose(places[one.frames], one.xy, atol=1e-3)
    assert main(["export", "t.parquet", "--to", "tapvid", "-o", "t.npz"]) == 5
    assert main(["export", "t.parquet", "--to", "tapvid", "-o", "t.npz", "--overwrite", "-q"]) == 0


def test_video_exports_with_and_without_a_table(folder: Path) -> None:
    assert main([*VIDEO, "--export", "nuke:a.nk", "--export", "3de:a.txt"]) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["a.nk", "a.txt"]
    assert main([*VIDEO, "--tracks", "t.csv", "--export", "nuke:b.nk"]) == 0
    assert main(["export", "t.csv", "--to", "nuke", "-o", "c.nk", "-q"]) == 0
    assert Path("a.nk").read_bytes() == Path("b.nk").read_bytes() == Path("c.nk").read_bytes()
    assert main([*VIDEO, "--export", "nuke:a.nk"]) == 5
    assert main([*VIDEO, "--export", "nuke:a.nk", "--overwrite"]) == 0


def test_several_inputs_have_exports_of_their_own(folder: Path) -> None:
    assert main(["video", "demo?size=320x240&frames=4", "demo:room?size=320x240&frames=4", *VIDEO[3:]]) == 2
    (folder / "other").mkdir()
    for name in ("a", "b"):
        words = ["video", "demo?size=320x240&frames=4", "-o", f"{name}.mp4", *RUN]
        assert main(words) == 0
    assert main(["video", "a.mp4", "b.mp4", "--no-video", "--export", "nuke:t.nk", *RUN]) == 0
    assert {"a_t.nk", "b_t.nk"} <= {path.name for path in folder.iterdir()}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_live_exports_at_its_end(folder: Path) -> None:
    words = ["live", "demo?size=320x240", "--no-window", "--duration", "2", "--export", "tapvid:l.npz"]
    with Command(folder, *words, "--model", "small", "--resize", "320") as command:
        assert command.ended(90)[0] == 0
    with np.load("l.npz") as file:
        assert file["points"].shape[0] > 20


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["export", "t.csv", "--to", "maya", "-o", "t.ma"], 2, "no export format 'maya'"),
        (["export", "t.csv", "--to", "nuke", "-o", "t.txt"], 2, "nuke is written as .nk"),
        (["export", "none.csv", "--to", "nuke", "-o", "t.nk"], 3, "No such file"),
        (["export", "bad.csv", "--to", "nuke", "-o", "t.nk"], 3, "needs the column track_id"),
        (["export", "t.csv", "--to", "nuke", "-o", "none/t.nk"], 5, "does not exist"),
        (["export", "t.csv", "--to", "nuke", "-o", "t.nk"], 3, "--size"),
        (["export", "t.csv", "--to", "nuke", "-o", "t.nk", "--size", "big"], 2, "size"),
        (["export", "t.csv", "--to", "nuke", "-o", "t.nk", "--every", "0"], 2, "every"),
        ([*VIDEO, "--export", "nuke"], 2, "FORMAT:FILE"),
        ([*VIDEO, "--export", "maya:t.ma"], 2, "no export format 'maya'"),
        ([*VIDEO, "--export", "nuke:t.txt"], 2, "nuke is written as .nk"),
        ([*VIDEO, "--export", "nuke:t.nk", "--resume"], 2, "name one with --tracks"),
    ],
)
def test_what_cannot_be_exported_is_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, told: str
) -> None:
    Path("t.csv").write_text("frame,track_id,x,y\n0,1,2,3\n1,1,3,4\n")
    Path("bad.csv").write_text("frame,id,x,y\n0,1,2,3\n")
    assert main(words) == code
    errors = capsys.readouterr().err.strip().splitlines()
    assert len(errors) == 1
    assert told in errors[0]
    assert {path.name for path in folder.iterdir()} == {"t.csv", "bad.csv"}
