"""Videos of all kinds: right frames, right times, the right way up."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from av.video.frame import PictureType

from realtime_kp import Pipeline, Tracker
from realtime_kp.cli import main
from realtime_kp.errors import SourceError
from realtime_kp.sources import open_source
from tests.conftest import StubExtractor, numbered_image, write_clip
from tests.sources.test_video import copy_packets

Image = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]


def write(
    path: Path,
    codec: str,
    pixels: str,
    images: list[Image],
    options: dict[str, str] | None = None,
    times_s: list[float] | None = None,
) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = pixels
        if times_s is not None:
            stream.codec_context.time_base = Fraction(1, 90_000)
        for number, image in enumerate(images):
            given = "bgra" if image.shape[2] == 4 else "bgr24"
            frame = av.VideoFrame.from_ndarray(image, format=given).reformat(format=pixels)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            if times_s is not None:
                frame.pts, frame.time_base = round(times_s[number] * 90_000), Fraction(1, 90_000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [
        ("a.mp4", "libx264", "yuv422p"),
        ("a.mp4", "libx264", "yuv444p"),
        ("a.mkv", "libx265", "yuv420p10le"),
        ("a.mkv", "libx264", "yuv422p10le"),
        ("a.mkv", "ffv1", "gray"),
        ("a.mkv", "ffv1", "gray16le"),
        ("a.mkv", "ffv1", "bgra"),
        ("a.mov", "qtrle", "argb"),
        ("a.mov", "prores_ks", "yuva444p10le"),
        ("a.webm", "libvpx-vp9", "yuva420p"),
        ("a.gif", "gif", "rgb8"),
        ("a.mov", "mjpeg", "yuvj422p"),
        ("a.ts", "mpeg2video", "yuv420p"),
    ],
)
def test_every_pixel_format_gives_right_frames_and_times(
    tmp_path: Path, name: str, codec: str, pixels: str
) -> None:
    images = [numbered_image(i) for i in range(12)]
    with open_source(write(tmp_path / name, codec, pixels, images)) as source:
        frames = list(source)
        assert source.damage is None
    assert [f.image_bgr.mean() for f in frames] == pytest.approx([i.mean() for i in images], abs=4)
    times_s = np.array([f.time_s for f in frames])
    assert times_s - times_s[0] == pytest.approx(np.arange(12) / 25, abs=1e-3)


@pytest.mark.parametrize("size_wh", [(63, 47), (63, 48), (64, 47), (17, 2)])
def test_odd_sizes_come_whole(tmp_path: Path, size_wh: tuple[int, int]) -> None:
    image = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
    image[:, -1] = image[-1] = 255
    with open_source(write(tmp_path / "a.mkv", "ffv1", "bgr0", [image] * 3)) as source:
        frames = list(source)
        assert source.info.size_wh == size_wh
    assert all(np.array_equal(f.image_bgr, image) for f in frames)


def test_frames_that_lean_on_later_ones_come_in_order_at_their_times(tmp_path: Path) -> None:
    images = [numbered_image(i) for i in range(20)]
    times_s = np.cumsum(np.random.default_rng(3).uniform(0.01, 0.09, 20)).tolist()
    options = {"bf": "3", "b_strategy": "0"}
    path = write(tmp_path / "a.mp4", "libx264", "yuv420p", images, options, times_s)
    with av.open(str(path)) as container:
        assert PictureType.B in {frame.pict_type for frame in container.decode(video=0)}
    with open_source(path) as source:
        frames, begin_s = list(source), source.info.begin_s
    assert frames[0].time_s == 0
    assert [f.time_s + begin_s for f in frames] == pytest.approx(times_s, abs=1e-3)
    assert [f.image_bgr.mean() for f in frames] == pytest.approx([i.mean() for i in images], abs=4)


def test_alpha_is_laid_on_black(tmp_path: Path) -> None:
    image = np.full((48, 64, 4), 200, np.uint8)
    image[:, :32, 3], image[:, 32:, 3] = 255, 64
    with open_source(write(tmp_path / "a.mkv", "ffv1", "bgra", [image])) as source:
        (frame,) = list(source)
    assert frame.image_bgr[:, :32].mean() == 200
    assert frame.image_bgr[:, 32:].mean() == pytest.approx(200 * 64 / 255, abs=1)


@pytest.mark.parametrize("codec", ["libvpx-vp9", "libvpx"])
def test_transparency_of_webm_is_laid_on_black(tmp_path: Path, codec: str) -> None:
    image = np.full((48, 64, 4), 200, np.uint8)
    image[:, :32, 3], image[:, 32:, 3] = 255, 0
    path = tmp_path / "a.webm"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options={"auto-alt-ref": "0", "crf": "4", "b": "2M"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuva420p"
        stream.metadata["alpha_mode"] = "1"
        for _ in range(4):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgba")))
        container.mux(stream.encode(None))
    with open_source(path) as source:
        frames = list(source)
        assert source.damage is None
    assert len(frames) == 4
    assert frames[3].image_bgr[:, :28].mean() == pytest.approx(200, abs=6)
    assert frames[3].image_bgr[:, 36:].mean() < 6


def moving(time: float) -> Image:
    """A bright ball on its way to the right."""
    image = np.full((48, 96, 3), 30, np.uint8)
    centre = (round((12 + 4 * time) * 16), 24 * 16)
    return np.asarray(cv2.circle(image, centre, 8 * 16, (220, 220, 220), -1, cv2.LINE_AA, 4), np.uint8)


def test_interlaced_pictures_become_whole(tmp_path: Path) -> None:
    combed = [moving(i) for i in range(15)]
    for i, image in enumerate(combed):
        image[::2] = moving(i + 0.5)[::2]
    path = write(tmp_path / "a.mkv", "libx264", "yuv420p", combed, {"x264-params": "bff=1", "crf": "4"})
    with open_source(path) as source:
        frames = list(source)
    assert [f.time_s for f in frames] == pytest.approx(np.arange(15) / 25, abs=1e-3)
    for i, frame in enumerate(frames):
        assert combing(frame.image_bgr) < 0.5 * combing(combed[i])
        # Of the moment of the first field.
        assert np.abs(centre_x(frame.image_bgr) - centre_x(moving(i))) < 0.7


def combing(image: Image) -> float:
    """How much lines differ from those above and below."""
    rows = image.astype(float)
    return float(np.abs(rows[1:-1] - (rows[:-2] + rows[2:]) / 2).mean())


def centre_x(image: Image) -> float:
    bright = np.maximum(image[..., 0].astype(float) - 60, 0).sum(axis=0)
    return float((bright * np.arange(len(bright))).sum() / bright.sum())


def test_a_change_of_size_on_the_way(tmp_path: Path) -> None:
    """Two recordings joined byte by byte, as MPEG-TS allows."""
    parts = [
        write_clip(tmp_path / f"{n}.ts", [numbered_image(i, size) for i in range(10)])
        for n, size in enumerate([(64, 48), (96, 64)])
    ]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    source = open_source(joined)
    ids: list[set[int]] = [set(), set()]
    with Pipeline(source, StubExtractor(), Tracker(kind="descriptor")) as pipeline:
        frames = list(pipeline)
    for tracked in frames:
        ids[tracked.frame.size_wh == (96, 64)] |= set(tracked.tracks.ids.tolist())
    assert [f.frame.size_wh for f in frames] == [(64, 48)] * 10 + [(96, 64)] * 10
    levels = [f.frame.image_bgr.mean() for f in frames]
    assert levels == pytest.approx([numbered_image(i % 10).mean() for i in range(20)], abs=4)
    times_s = [f.frame.time_s for f in frames]
    assert times_s == sorted(set(times_s))
    assert all(ids)
    assert not ids[0] & ids[1]
    out = tmp_path / "out.mp4"
    assert main(["video", str(joined), "-o", str(out), "--model", "small", "--resize", "64", "-q"]) == 0
    with av.open(str(out)) as container:
        assert {(f.width, f.height) for f in container.decode(video=0)} == {(64, 48)}


@pytest.mark.parametrize("rotated", [False, True])
def test_pixels_that_are_not_square_are_shown_as_they_were(tmp_path: Path, rotated: bool) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(16, 11)
        for i in range(5):
            frame = av.VideoFrame.from_ndarray(numbered_image(i), format="bgr24")
            frame.pts, frame.time_base = i, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    if rotated:
        path = copy_packets(path, tmp_path / "turned.mp4", rotation=90)
    wanted = Fraction(11, 16) if rotated else Fraction(16, 11)
    with open_source(path) as source:
        assert source.info.pixel_aspect == wanted
        assert source.info.size_wh == ((48, 64) if rotated else (64, 48))
    out = tmp_path / "out.mp4"
    assert main(["video", str(path), "-o", str(out), "--model", "small", "--resize", "64", "-q"]) == 0
    with av.open(str(out)) as container:
        assert container.streams.video[0].sample_aspect_ratio == wanted


def test_one_frame_is_a_video(tmp_path: Path) -> None:
    with open_source(write_clip(tmp_path / "a.mp4", [numbered_image(5)])) as source:
        (frame,) = list(source)
    assert frame.image_bgr.mean() == pytest.approx(numbered_image(5).mean(), abs=3)


def test_no_frame_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()
    with pytest.raises(SourceError, match=r"holds no frames|End of file"), open_source(path) as source:
        list(source)
    assert main(["video", str(path), "-o", str(tmp_path / "out.mp4"), "-q"]) == 3
    assert "a.mkv" in capsys.readouterr().err
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize("declared", [0, 1, 999_999_999])
def test_declared_numbers_of_frames_are_not_believed(tmp_path: Path, declared: int) -> None:
    path = write_clip(tmp_path / "a.avi", [numbered_image(i) for i in range(12)], codec="mjpeg")
    data = bytearray(path.read_bytes())
    header, stream = data.index(b"avih") + 8, data.index(b"strh") + 8
    for at in (header + 16, stream + 32):  # dwTotalFrames, dwLength
        data[at : at + 4] = declared.to_bytes(4, "little")
    path.write_bytes(data)
    with open_source(path) as source:
        assert len(list(source)) == 12


CONTAINERS: list[tuple[str, Callable[[Path], Any]]] = [
    ("mp4", lambda path: write_clip(path, [numbered_image(i) for i in range(12)])),
    ("mkv", lambda path: write_clip(path, [numbered_image(i) for i in range(12)])),
    ("avi", lambda path: write_clip(path, [numbered_image(i) for i in range(12)], codec="mjpeg")),
    ("ts", lambda path: write_clip(path, [numbered_image(i) for i in range(12)])),
]


@pytest.mark.parametrize("wrong", [".txt", ".jpg", ".avi", ".MP4", ""])
@pytest.mark.parametrize(("suffix", "make"), CONTAINERS)
def test_a_wrong_suffix_does_no_harm(
    tmp_path: Path, suffix: str, make: Callable[[Path], Any], wrong: str
) -> None:
    make(tmp_path / f"a.{suffix}")
    path = tmp_path / f"misnamed{wrong}"
    shutil.move(tmp_path / f"a.{suffix}", path)
    with open_source(path) as source:
        assert len(list(source)) == 12
    out = tmp_path / "out.mp4"
    words = ["--model", "small", "--resize", "64", "-q", "--summary", str(tmp_path / "s.json")]
    assert main(["video", str(path), "-o", str(out), *words]) == 0
    assert json.loads((tmp_path / "s.json").read_text())["frames"]["written"] == 12


def test_a_picture_that_is_called_a_video_is_a_picture(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), numbered_image(7))
    shutil.move(tmp_path / "a.png", tmp_path / "a.mp4")
    with open_source(tmp_path / "a.mp4") as source:
        (frame,) = list(source)
        assert source.info.still
    assert np.array_equal(frame.image_bgr, numbered_image(7))
