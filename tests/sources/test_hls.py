"""HLS playlists, local and over HTTP."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from realtime_kp.errors import SourceError
from realtime_kp.sources import open_source
from tests.conftest import numbered_image, write_clip

FRAMES = 40


@pytest.fixture
def playlist(tmp_path: Path) -> Path:
    """A playlist of segments of 10 frames, 0.4 s."""
    clip = tmp_path / "a.mp4"
    write_clip(
        clip, [numbered_image(i) for i in range(FRAMES)], fps=25, options={"g": "10", "sc_threshold": "0"}
    )
    options = {"hls_time": "0.4", "hls_list_size": "0"}
    with av.open(str(clip)) as source, av.open(str(tmp_path / "v.m3u8"), "w", options=options) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    assert len(list(tmp_path.glob("*.ts"))) == 4
    return tmp_path / "v.m3u8"


@pytest.fixture
def address(playlist: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(playlist.parent))
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/{playlist.name}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def times_s(location: str | Path) -> tuple[list[float], str | None]:
    with open_source(location) as source:
        return [frame.time_s for frame in source], source.damage


def test_a_local_playlist(playlist: Path) -> None:
    found_s, damage = times_s(playlist)
    assert damage is None
    assert found_s == pytest.approx([i / 25 for i in range(FRAMES)], abs=1e-3)


def test_a_playlist_of_playlists(playlist: Path) -> None:
    master = playlist.with_name("master.m3u8")
    master.write_text(f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=100000\n{playlist.name}\n")
    assert len(times_s(master)[0]) == FRAMES


def test_a_playlist_over_http(address: str) -> None:
    found_s, damage = times_s(address)
    assert damage is None
    assert found_s == pytest.approx([i / 25 for i in range(FRAMES)], abs=1e-3)


def test_a_missing_segment_is_told(playlist: Path) -> None:
    sorted(playlist.parent.glob("*.ts"))[1].unlink()
    found_s, damage = times_s(playlist)
    assert len(found_s) == FRAMES - 10
    assert damage is not None
    assert "1 segments of the playlist are missing" in damage


def test_a_playlist_that_is_still_written_ends_with_the_time_out(playlist: Path) -> None:
    playlist.write_text(playlist.read_text().replace("#EXT-X-ENDLIST", ""))
    assert len(times_s(playlist)[0]) == FRAMES


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("#EXTM3U\n#EXTINF:1,\n../a.ts\n", "not a file below its folder"),
        ("#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", "not a file below its folder"),
        ("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n", "not a file below its folder"),
        ("#EXTM3U\n#EXTINF:1,\nfile:///tmp/a.ts\n", "not a file below its folder"),
        (
            '#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="http://127.0.0.1:9/k"\n#EXTINF:1,\nv0.ts\n',
            "127.0.0.1:9/k",
        ),
        ("#EXTM3U\n", "names no segments"),
        ("v0.ts\n", "does not begin with #EXTM3U"),
        ("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nbad.m3u8\n", "not a file below its folder"),
    ],
)
def test_what_may_not_be_opened(playlist: Path, text: str, message: str) -> None:
    playlist.with_name("bad.m3u8").write_text("#EXTM3U\n#EXTINF:1,\n../a.ts\n")
    playlist.write_text(text)
    with pytest.raises(SourceError, match=message):
        times_s(playlist)
