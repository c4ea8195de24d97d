from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from realtime_kp.errors import SinkError
from realtime_kp.keypoints import TrackedFrame, Tracks
from realtime_kp.sinks import VideoFileSink
from realtime_kp.sources import VideoSource
from tests.conftest import make_frame, numbered_image

Image = NDArray[np.uint8]

PURE_BGR = {
    "red": (0, 0, 255),
    "green": (0, 255, 0),
    "blue": (255, 0, 0),
    "white": (255, 255, 255),
    "black": (0, 0, 0),
    "yellow": (0, 255, 255),
}


def tracked(index: int, time_s: float | None = None) -> TrackedFrame:
    return TrackedFrame(make_frame(index, time_s=time_s), None, Tracks.empty())


def write(
    path: Path, images: Sequence[Image], times_s: Sequence[float] | None = None, **options: Any
) -> None:
    with VideoFileSink(path, **options) as sink:
        for index, image in enumerate(images):
            sink.write(image, tracked(index, None if times_s is None else times_s[index]))


def read(path: Path) -> tuple[list[Image], list[float]]:
    """The images, and their times on the clock of the file."""
    with VideoSource(path) as source:
        frames, begin_s = list(source), source.info.begin_s
    return [frame.image_bgr for frame in frames], [frame.time_s + begin_s for frame in frames]


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def coloured(bgr: tuple[int, int, int], size_wh: tuple[int, int] = (64, 48)) -> Image:
    return np.full((size_wh[1], size_wh[0], 3), bgr, np.uint8)


def noise(count: int) -> list[Image]:
    rng = np.random.default_rng(0)
    return [cv2.GaussianBlur(rng.integers(0, 255, (48, 64, 3), np.uint8), (0, 0), 1.5) for _ in range(count)]


def test_frames_and_times_come_back(tmp_path: Path) -> None:
    times_s = [0.0, *np.cumsum(np.random.default_rng(1).uniform(0.01, 0.08, 14)).tolist()]
    images = [numbered_image(number) for number in range(15)]
    write(tmp_path / "a.mp4", images, times_s)
    read_images, read_times_s = read(tmp_path / "a.mp4")
    assert read_times_s == pytest.approx(times_s, abs=1e-3)
    assert [image.mean() for image in read_images] == pytest.approx([i.mean() for i in images], abs=3)
    assert files(tmp_path) == ["a.mp4"]


def test_frames_are_counted(tmp_path: Path) -> None:
    with VideoFileSink(tmp_path / "a.mp4") as sink:
        for index in range(3):
            sink.write(numbered_image(index), tracked(index))
        assert sink.frames == 3


def test_times_of_a_later_start_are_kept(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", [numbered_image(i) for i in range(4)], [2.0, 2.1, 2.3, 2.4])
    assert read(tmp_path / "a.mp4")[1] == pytest.approx([2.0, 2.1, 2.3, 2.4], abs=1e-3)


def test_recordings_begin_at_zero(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", [numbered_image(i) for i in range(4)], [2.0, 2.1, 2.3, 2.4], from_zero=True)
    assert read(tmp_path / "a.mp4")[1] == pytest.approx([0, 0.1, 0.3, 0.4], abs=1e-3)


def test_times_that_do_not_grow_lose_no_frame(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", [numbered_image(i) for i in range(4)], [0.0, 0.1, 0.1, 0.05])
    images, times_s = read(tmp_path / "a.mp4")
    assert len(images) == 4
    assert times_s == sorted(set(times_s))


def test_format_is_one_that_browsers_play(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", [numbered_image(i) for i in range(4)], fps=25)
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context is not None
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (int(stream.codec_context.colorspace), int(stream.codec_context.color_range)) == (1, 1)
    content = (tmp_path / "a.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat"), "players wait for the index"


@pytest.mark.parametrize(
    ("size_wh", "written_wh"), [((63, 48), (64, 48)), ((64, 47), (64, 48)), ((63, 47), (64, 48))]
)
def test_odd_sizes_get_one_repeated_row_or_column(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, size_wh: tuple[int, int], written_wh: tuple[int, int]
) -> None:
    image = np.ascontiguousarray(
        np.linspace(20, 230, size_wh[0] * size_wh[1])
        .reshape(size_wh[::-1])
        .astype(np.uint8)[..., None]
        .repeat(3, 2)
    )
    write(tmp_path / "a.mp4", [image] * 3, crf=1)
    read_image = read(tmp_path / "a.mp4")[0][0]
    assert read_image.shape[1::-1] == written_wh
    difference = np.abs(read_image[: size_wh[1], : size_wh[0]].astype(int) - image)
    assert difference.mean() < 2
    last_row, last_column = read_image[-1].astype(int), read_image[:, -1].astype(int)
    assert np.abs(last_row[: size_wh[0]] - image[-1]).mean() < 4
    assert np.abs(last_column[: size_wh[1]] - image[:, -1]).mean() < 4
    announced = [record.message for record in caplog.records if "is odd" in record.message]
    assert len(announced) == 1
    assert f"{size_wh[0]}x{size_wh[1]}" in announced[0]
    assert f"{written_wh[0]}x{written_wh[1]}" in announced[0]


def test_even_sizes_are_not_announced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path / "a.mp4", [numbered_image(0)] * 2)
    assert caplog.records == []


def test_other_sizes_are_scaled_and_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    half_white = np.zeros((96, 96, 3), np.uint8)
    half_white[:, :48] = 255
    write(tmp_path / "a.mp4", [numbered_image(0), half_white, numbered_image(1), half_white])
    images, _ = read(tmp_path / "a.mp4")
    assert {image.shape for image in images} == {(48, 64, 3)}
    assert images[1][:, :28].mean() > 240
    assert images[1][:, 36:].mean() < 15
    assert [r.message for r in caplog.records] == [
        "a.mp4: frames of 96x96 are scaled to the first size, 64x48"
    ]


@pytest.mark.parametrize("name", PURE_BGR)
def test_colours_survive(tmp_path: Path, name: str) -> None:
    write(tmp_path / "a.mp4", [coloured(PURE_BGR[name])] * 3)
    for image in read(tmp_path / "a.mp4")[0]:
        assert np.abs(image.astype(int) - PURE_BGR[name]).mean() < 3


def test_luma_follows_bt709_in_video_range(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", [coloured(PURE_BGR["red"])] * 2)
    with av.open(str(tmp_path / "a.mp4")) as container:
        picture = next(container.decode(video=0))
    luma = picture.to_ndarray()[:48]
    assert luma.mean() == pytest.approx(16 + 219 * 0.2126, abs=2)


def test_failure_keeps_what_was_written_under_the_partial_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(KeyError), VideoFileSink(tmp_path / "a.mp4") as sink:  # noqa: PT012
        for index in range(5):
            sink.write(numbered_image(index), tracked(index))
        raise KeyError
    assert files(tmp_path) == ["a.partial.mkv"]
    assert len(read(tmp_path / "a.partial.mkv")[0]) == 5
    assert "a.partial.mkv" in caplog.text


def test_failure_leaves_an_older_file_alone(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("older")
    with pytest.raises(KeyError), VideoFileSink(tmp_path / "a.mp4") as sink:  # noqa: PT012
        sink.write(numbered_image(0), tracked(0))
        raise KeyError
    assert (tmp_path / "a.mp4").read_text() == "older"


def test_failure_before_the_first_frame_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyError), VideoFileSink(tmp_path / "a.mp4"):
        raise KeyError
    assert files(tmp_path) == []


def test_no_frames_no_file(tmp_path: Path) -> None:
    with VideoFileSink(tmp_path / "a.mp4") as sink:
        sink.write(None, tracked(0))
    assert files(tmp_path) == []


def test_final_name_appears_only_with_the_whole_file(tmp_path: Path) -> None:
    with VideoFileSink(tmp_path / "a.mp4") as sink:
        for index in range(60):
            sink.write(numbered_image(index), tracked(index))
        assert files(tmp_path) == ["a.partial.mkv"]
    assert files(tmp_path) == ["a.mp4"]


def test_finished_file_replaces_an_older_one(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("older")
    write(tmp_path / "a.mp4", [numbered_image(0)] * 2)
    assert len(read(tmp_path / "a.mp4")[0]) == 2


def test_crf_decides_quality_and_size(tmp_path: Path) -> None:
    images = noise(8)
    errors, sizes = [], []
    for crf in (5, 45):
        path = tmp_path / f"{crf}.mp4"
        write(path, images, crf=crf)
        sizes.append(path.stat().st_size)
        errors.append(
            np.mean([np.abs(a.astype(int) - b).mean() for a, b in zip(read(path)[0], images, strict=True)])
        )
    assert sizes[0] > 2 * sizes[1]
    assert errors[0] < errors[1] / 1.5


def test_preset_reaches_the_encoder(tmp_path: Path) -> None:
    for preset in ("ultrafast", "medium"):
        write(tmp_path / f"{preset}.mp4", noise(8), preset=preset)
    # x264 writes its settings into the stream; ultrafast has neither CABAC nor B-frames.
    assert b"cabac=0" in (tmp_path / "ultrafast.mp4").read_bytes()
    assert b"cabac=1" in (tmp_path / "medium.mp4").read_bytes()


def test_refused_encoder_setting_is_an_error_of_the_output(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"a\.mp4"):
        write(tmp_path / "a.mp4", [numbered_image(0)], preset="none such")
    assert files(tmp_path) == []


def test_missing_folder_is_an_error_of_the_output(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"cannot write .*a\.mp4"):
        write(tmp_path / "gone" / "a.mp4", [numbered_image(0)])


def test_full_disk_is_an_error_of_the_output(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    (tmp_path / "a.partial.mkv").symlink_to("/dev/full")
    with pytest.raises(SinkError, match=r"cannot write .*a\.mp4"):
        write(tmp_path / "a.mp4", noise(8))
    assert not (tmp_path / "a.mp4").exists()


def test_colon_in_a_relative_name_is_no_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("T12:30.mp4"), [numbered_image(0)] * 2)
    assert files(tmp_path) == ["T12:30.mp4"]


def test_given_image_is_not_changed(tmp_path: Path) -> None:
    image = numbered_image(3)
    image.setflags(write=False)
    with VideoFileSink(tmp_path / "a.mp4") as sink:
        sink.write(image, replace(tracked(0), tracks=Tracks.empty()))
    assert np.array_equal(image, numbered_image(3))
