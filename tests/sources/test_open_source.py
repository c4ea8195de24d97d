from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from realtime_kp.config import InputConfig
from realtime_kp.errors import ConfigError, SourceError
from realtime_kp.frame import Frame
from realtime_kp.sources import (
    CameraSource,
    DemoSource,
    PicturesSource,
    VideoSource,
    is_picture_spec,
    open_source,
)
from tests.conftest import numbered_image, write_clip


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        (0, CameraSource),
        ("0", CameraSource),
        ("12", CameraSource),
        ("/dev/video2", CameraSource),
        ("demo", DemoSource),
        ("demo?seed=3", DemoSource),
        ("demo:photo.jpg", DemoSource),
        ("demo.mp4", VideoSource),
        ("demolition.mp4", VideoSource),
        ("clip.mp4", VideoSource),
        ("clip", VideoSource),
        (Path("clip.mkv"), VideoSource),
        ("rtsp://camera/live", VideoSource),
        ("RTSP://camera/live", VideoSource),
        ("rtmp://camera/live", VideoSource),
        ("http://camera/a.mjpg", VideoSource),
        ("https://camera/a.jpg", VideoSource),
        ("photo.jpg", PicturesSource),
        ("photo.PNG", PicturesSource),
        (Path("photo.tiff"), PicturesSource),
        ("photos/*.jpg", PicturesSource),
        ("photos/im_[0-9].png", PicturesSource),
    ],
)
def test_text_names_its_source(spec: str | int | Path, kind: type) -> None:
    assert type(open_source(spec)) is kind


def test_folder_is_pictures(tmp_path: Path) -> None:
    assert isinstance(open_source(tmp_path), PicturesSource)


def test_camera_device() -> None:
    index, path = open_source("3"), open_source("/dev/video3")
    assert isinstance(index, CameraSource)
    assert isinstance(path, CameraSource)
    assert (index.device, path.device) == (3, "/dev/video3")


def test_addresses_are_streams_and_paths_are_not() -> None:
    stream, file = open_source("rtsp://camera/live"), open_source("clip.mp4")
    assert isinstance(stream, VideoSource)
    assert isinstance(file, VideoSource)
    assert stream.is_stream
    assert not file.is_stream


def test_settings_reach_the_source(tmp_path: Path) -> None:
    config = InputConfig(timeout_s=7, picture_fps=4, camera_fourcc="YUYV", stream=3)
    stream, camera = open_source("rtsp://camera/live", config), open_source(0, config)
    pictures = open_source(tmp_path, config, start_s=2)
    file = open_source("clip.mp4", config, start_s=2)
    assert isinstance(stream, VideoSource)
    assert (stream.limits.timeout_s, stream.limits.stream) == (7, 3)
    assert isinstance(camera, CameraSource)
    assert camera.config is config
    assert isinstance(pictures, PicturesSource)
    assert (pictures.fps, pictures.start_s) == (4, 2)
    assert isinstance(file, VideoSource)
    assert (file.start_s, file.limits.stream) == (2, 3)


@pytest.mark.parametrize(
    ("spec", "demo_frames", "count"), [("demo", 50, 50), ("demo", None, None), ("demo?frames=7", 50, 7)]
)
def test_length_of_the_demo(spec: str, demo_frames: int | None, count: int | None) -> None:
    assert open_source(spec, demo_frames=demo_frames).info.frame_count == count


def test_start_of_the_demo() -> None:
    assert open_source("demo", start_s=1, demo_frames=50).info.frame_count == 20


def test_wrong_demo_is_an_error_of_the_configuration() -> None:
    with pytest.raises(ConfigError, match="'none'"):
        open_source("demo?motion=none")


@pytest.mark.parametrize("scheme", ["ftp", "file", "concat", "subfile"])
def test_unknown_scheme_is_refused_without_its_credentials(scheme: str) -> None:
    with pytest.raises(SourceError, match=rf"{scheme}://.*rtsp://") as caught:
        open_source(f"{scheme}://user:s3cret@host/clip.mp4?token=s3cret")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("suffix", [".mp4", ".png"])
def test_name_longer_than_names_may_be_is_an_error_of_the_source(suffix: str) -> None:
    with pytest.raises(SourceError), open_source("x" * 300 + suffix):
        pass


def test_pictures_are_told_from_videos(tmp_path: Path) -> None:
    (tmp_path / "take[1].mp4").write_bytes(b"")
    assert is_picture_spec(str(tmp_path))
    assert is_picture_spec("a.jpeg")
    assert is_picture_spec("folder/*.png")
    assert not is_picture_spec("a.mp4")
    assert not is_picture_spec("demo?seed=1")
    assert not is_picture_spec("http://host/a?b=*")
    assert not is_picture_spec(str(tmp_path / "take[1].mp4"))


@pytest.mark.parametrize("name", ["p.png", "c.mp4"])
def test_more_pixels_than_allowed_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith("png"):
        cv2.imwrite(str(path), numbered_image(3))
    else:
        write_clip(path, [numbered_image(i) for i in range(3)])
    for allowed, fits in ((64 * 48, True), (64 * 48 - 1, False)):
        config = InputConfig(max_pixels=allowed)
        if fits:
            with open_source(path, config) as source:
                assert next(iter(source)).size_wh == (64, 48)
        else:
            with pytest.raises(SourceError, match="64x48, more than --max-pixels"):
                read_all(path, config)


def read_all(path: Path, config: InputConfig) -> list[Frame]:
    with open_source(path, config) as source:
        return list(source)


def test_a_path_is_a_file_whatever_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("7", "demo", "0.png"):
        Path(name).touch()
    assert type(open_source(Path("7"))) is VideoSource
    assert type(open_source(Path("demo"))) is VideoSource
    assert type(open_source("./7")) is VideoSource
    assert type(open_source(7)) is CameraSource
    assert type(open_source("0.png")) is PicturesSource


@pytest.mark.parametrize("name", ["7", "demo"])
def test_a_file_that_a_camera_or_the_demo_hides_is_told(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    open_source(name)
    assert not caplog.records
    Path(name).touch()
    open_source(name)
    assert f"./{name} is the file of that name" in caplog.text


def test_a_glob_below_a_folder_with_brackets_in_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "shots [1]"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), numbered_image(0))
    with open_source(str(folder / "*.png")) as source:
        assert len(list(source)) == 1
