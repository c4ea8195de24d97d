"""`live --rerun`: into a file, and to a server that may go away."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from realtime_kp.cli import main
from tests.exports.test_rerun import read

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
LIVE = [
    "live",
    "demo?size=320x240",
    "--model",
    "small",
    "--resize",
    "160",
    "--no-window",
    "--duration",
    "2",
    "-q",
]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_into_a_file() -> None:
    assert main([*LIVE, "--rerun", "a.rrd"]) == 0
    found = read(Path("a.rrd"))
    rows = [row for row in found["/video/tracks"] if row["track_id"]]
    assert len(rows) > 10
    assert all(len(row["track_id"]) == len(row["Points2D:positions"]) for row in rows)
    assert sum(bool(row.get("VideoStream:sample")) for row in found["/video"]) == len(found["/video/tracks"])
    assert main([*LIVE, "--rerun", "a.rrd"]) == 5
    assert main([*LIVE, "--rerun", "a.rrd", "--overwrite"]) == 0


def test_a_viewer_that_is_not_there_does_not_stop_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    words = [*LIVE, "--rerun", f"rerun+http://127.0.0.1:{port}/proxy", "--summary", "s.json"]
    assert main(words) == 0
    assert Path("s.json").exists()


def test_a_viewer_that_listens_gets_it() -> None:
    import rerun as rr

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    server = rr.RecordingStream("server")
    address = server.serve_grpc(grpc_port=port)
    try:
        assert main([*LIVE, "--rerun", address]) == 0
    finally:
        server.disconnect()


@pytest.mark.parametrize("target", ["viewer", "a.mp4", "http://127.0.0.1"])
def test_other_targets_are_refused(target: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*LIVE, "--rerun", target]) == 2
    assert "--rerun takes spawn" in capsys.readouterr().err
