"""Files that end before their headers say, told by sizes alone: FFmpeg says nothing."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from realtime_kp.sources import open_source
from realtime_kp.sources.cut_files import missing_bytes

COUNT = 40
KINDS = {
    "a.mp4": {},
    "fast.mp4": {"movflags": "faststart"},
    "fragmented.mp4": {"movflags": "frag_keyframe+empty_moov"},
    "a.mov": {},
    "a.mkv": {},
    "a.webm": {},
    "a.avi": {},
}


def write(path: Path, options: dict[str, str]) -> Path:
    codec = {".webm": "libvpx", ".avi": "mpeg4"}.get(path.suffix, "libx264")
    rng = np.random.default_rng(0)
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=30, options={"g": "10"})
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for _ in range(COUNT):
            image = rng.integers(0, 255, (120, 160, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("name", KINDS)
def test_whole_files_are_whole(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, KINDS[name])
    assert missing_bytes(path) == 0
    with open_source(path) as source:
        assert len(list(source)) == COUNT
        assert source.damage is None


@pytest.mark.parametrize("name", [name for name in KINDS if name not in ("a.mp4", "a.mov")])
@pytest.mark.parametrize("share", [0.5, 0.97])
def test_cut_files_are_told(tmp_path: Path, name: str, share: float) -> None:
    path = write(tmp_path / name, KINDS[name])
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    missing = missing_bytes(path)
    assert 0 < missing <= len(data) - int(share * len(data))
    with open_source(path) as source:
        assert 0 < len(list(source)) <= COUNT
        assert source.damage is not None
        assert f"the file is cut short, {missing} bytes are missing" in source.damage


@pytest.mark.parametrize(
    "data",
    [b"", b"RIFF", b"\x1a\x45\xdf\xa3", b"\0\0\0\x08ftyp", b"\0\0\0\0mdat", b"RIFF\0\0\0\0AVI ", bytes(64)],
)
def test_heads_without_sizes_tell_nothing(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(data)
    assert missing_bytes(path) == 0
    assert missing_bytes(tmp_path / "none") == 0
