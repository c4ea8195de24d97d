"""`live --rerun`, through the whole command."""

from __future__ import annotations

from pathlib import Path

import pytest

from realtime_kp.cli import main
from realtime_kp.exports import read_tracks
from tests.rerun_files import read_rrd

pytest.importorskip("rerun.chunk", reason="needs pip install 'rerun-sdk>=0.41'")

LIVE = [
    "live",
    "demo:room?size=320x240&frames=30",
    "--no-window",
    "--model",
    "small",
    "--resize",
    "320",
    "-q",
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_run_is_recorded_for_rerun(folder: Path) -> None:
    assert main([*LIVE, "--rerun", "t.rrd", "--tracks", "t.csv"]) == 0
    assert not list(folder.glob("*.partial*"))
    found, table = read_rrd(Path("t.rrd")), read_tracks("t.csv")
    assert len(found["video VideoStream:sample"]) >= 5
    told = 0
    for frame, time_ns, ids in found["video/tracks track_id"]:
        rows = table.frame(frame)
        assert ids == rows.ids.tolist()
        told += len(ids)
        if len(rows):
            assert time_ns == pytest.approx(rows.columns["time_s"][0] * 1e9, abs=1e4)
    assert told > 100


def test_a_recording_is_not_replaced_by_accident(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "t.rrd").write_text("mine")
    assert main([*LIVE, "--rerun", "t.rrd"]) == 5
    assert "--overwrite" in capsys.readouterr().err
    assert (folder / "t.rrd").read_text() == "mine"
    assert main([*LIVE, "--rerun", "none/t.rrd"]) == 5


def test_what_is_no_target_of_rerun(capsys: pytest.CaptureFixture[str]) -> None:
    for target in ("t.rr", "http://127.0.0.1:1/proxy", ""):
        assert main([*LIVE, "--rerun", target]) == 2
        assert "rerun must be spawn" in capsys.readouterr().err
    assert main([*LIVE, "--rerun", "rerun+http://127.0.0.1:1/proxy"]) == 5
    assert "no Rerun Viewer answers" in capsys.readouterr().err
