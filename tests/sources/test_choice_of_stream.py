"""Which of several video streams of a file is read."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.stream import Disposition

from realtime_kp.config import InputConfig
from realtime_kp.errors import SourceError
from realtime_kp.sources import open_source
from tests.conftest import numbered_image

FILM_WH, THUMBNAIL_WH = (160, 120), (64, 64)


def write_film(path: Path, *, cover: bool) -> Path:
    """A small stream of two frames, or a cover picture, before the film of twenty."""
    with av.open(str(path), "w") as container:
        small = container.add_stream("mjpeg" if cover else "libx264", rate=25)
        film = container.add_stream("libx264", rate=25)
        for stream, (width, height) in ((small, THUMBNAIL_WH), (film, FILM_WH)):
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        if cover:
            small.pix_fmt = "yuvj420p"
            small.disposition = Disposition.attached_pic
        for stream, count in ((small, 1 if cover else 2), (film, 20)):
            for number in range(count):
                image = numbered_image(number, (stream.width, stream.height))
                frame = av.VideoFrame.from_ndarray(image, format="bgr24")
                frame.pts, frame.time_base = number, Fraction(1, 25)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(("cover", "suffix"), [(False, ".mkv"), (False, ".mp4"), (True, ".mp4")])
def test_the_film_is_read_and_not_what_comes_before_it(tmp_path: Path, cover: bool, suffix: str) -> None:
    with open_source(write_film(tmp_path / f"a{suffix}", cover=cover)) as source:
        frames = list(source)
        assert source.damage is None
    assert len(frames) == 20
    assert frames[0].size_wh == FILM_WH


def test_the_others_are_said_and_can_be_chosen(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_film(tmp_path / "a.mkv", cover=False)
    with open_source(path) as source:
        list(source)
    assert [r.message for r in caplog.records] == [
        f"{path}: stream 1 (160x120) of several is taken; --input.stream takes another: 0 (64x64)"
    ]
    with open_source(path, InputConfig(stream=0)) as source:
        frames = list(source)
    assert len(frames) == 2
    assert frames[0].size_wh == THUMBNAIL_WH
    with pytest.raises(SourceError, match="has no video stream 7; those with video: 0, 1"):
        open_source(path, InputConfig(stream=7)).__enter__()


def test_a_song_with_a_cover_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "song.m4a"
    with av.open(str(path), "w", format="mp4") as container:
        sound = container.add_stream("aac", rate=48_000, layout="mono")
        cover = container.add_stream("mjpeg", rate=25)
        cover.width, cover.height, cover.pix_fmt = 64, 64, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        tone = av.AudioFrame.from_ndarray(np.zeros((1, 48_000), np.float32), format="fltp", layout="mono")
        tone.sample_rate = 48_000
        container.mux(sound.encode(tone))
        container.mux(sound.encode(None))
        picture = cv2.resize(numbered_image(3), (64, 64))
        container.mux(cover.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(cover.encode(None))
    with pytest.raises(SourceError, match="holds no video, only a cover picture"):
        open_source(path).__enter__()


def test_a_playlist_is_told_not_to_be_opened(tmp_path: Path) -> None:
    path = tmp_path / "list.pls"
    path.write_text("#EXTM3U\n#EXTINF:1,\na.ts\n")
    with pytest.raises(SourceError, match="playlists are not opened"):
        open_source(path).__enter__()
