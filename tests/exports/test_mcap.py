"""Bags, read back by two other implementations."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from realtime_kp.errors import ConfigError, SourceError
from realtime_kp.exports import TrackTable, export_tracks
from realtime_kp.lens import Lens, LensFile
from realtime_kp.sources import Scene, procedural_picture
from tests.conftest import write_clip

EPOCH_NS = 1403636579763555584
STEP_NS = 50_000_001
SIZE_WH = (320, 240)
RADIAL = Lens(SIZE_WH, (300.0, 310.0), (161.0, 118.5), (-0.2, 0.05, 0.001, -0.002))
FISHEYE = Lens(SIZE_WH, (150.0, 150.0), (160.0, 119.0), (0.02, -0.01, 0.003, -0.001), "fisheye")
# Frames of three tracks; the second one is away in frame 2, the third one has a name.
ROWS = [
    *(("", 7, frame, 20.0 + 3 * frame, 40.5) for frame in range(4)),
    *(("", 9, frame, 200.25, 100.0 + frame) for frame in (0, 1, 3)),
    *(("nose", 12, frame, 90.0, 60.0) for frame in (2, 3)),
]


def table() -> TrackTable:
    labels, ids, frames, x, y = zip(*ROWS, strict=True)
    frame = np.array(frames)
    columns: dict[str, Any] = {
        "frame": frame,
        "track_id": np.array(ids),
        "x": np.array(x),
        "y": np.array(y),
        "time_ns": EPOCH_NS + STEP_NS * frame,
        "label": np.array(labels, object),
    }
    return TrackTable(columns, {"width": SIZE_WH[0], "height": SIZE_WH[1], "fps": 20})


def exported(folder: Path, **options: Any) -> Path:
    path = folder / "bag.mcap"
    export_tracks(table(), "mcap", path, **options)
    return path


def known(lens: Lens) -> LensFile:
    return LensFile(Path("c.yaml"), lens, tells_size=True)


def by_mcap(path: Path) -> list[tuple[str, int, Any]]:
    """Topic, time and message, decoded by the definitions in the bag."""
    from mcap.reader import make_reader
    from mcap_ros2.decoder import DecoderFactory

    with open(path, "rb") as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory()])
        return [
            (channel.topic, message.log_time, decoded)
            for _, channel, message, decoded in reader.iter_decoded_messages()
        ]


def by_rosbags(path: Path) -> list[tuple[str, int, Any]]:
    """The same, by another reader with definitions of its own for what ROS has."""
    from rosbags.highlevel import AnyReader
    from rosbags.typesys import Stores, get_typestore

    with AnyReader([path], default_typestore=get_typestore(Stores.ROS2_HUMBLE)) as reader:
        return [
            (connection.topic, time_ns, reader.deserialize(data, connection.msgtype))
            for connection, time_ns, data in reader.messages()
        ]


@pytest.mark.parametrize("read", [by_mcap, by_rosbags])
@pytest.mark.parametrize("lens", [RADIAL, FISHEYE, None])
def test_tracks_come_back_field_by_field(tmp_path: Path, read: Any, lens: Lens | None) -> None:
    found = read(exported(tmp_path, lens=None if lens is None else known(lens)))
    clouds = [(time_ns, message) for topic, time_ns, message in found if topic == "/tracks"]
    assert [time_ns for time_ns, _ in clouds] == [EPOCH_NS + STEP_NS * frame for frame in range(4)]
    for frame, (time_ns, cloud) in enumerate(clouds):
        stamp = cloud.header.stamp
        assert stamp.sec * 1_000_000_000 + stamp.nanosec == time_ns
        assert cloud.header.frame_id == "camera"
        names = [channel.name for channel in cloud.channels]
        assert names == [
            "id_of_point",
            "u_of_point",
            "v_of_point",
            "velocity_x_of_point",
            "velocity_y_of_point",
        ]
        ids, u, v, velocity_x, velocity_y = (np.array(channel.values) for channel in cloud.channels)
        rows = sorted((number, x, y) for _, number, index, x, y in ROWS if index == frame)
        assert ids.tolist() == [number for number, _, _ in rows]
        xy = np.array([(x, y) for _, x, y in rows])
        np.testing.assert_allclose(np.stack([u, v], axis=1), xy, atol=1e-4)
        points = np.array([(point.x, point.y, point.z) for point in cloud.points])
        expected = xy if lens is None else lens.normalised(xy)
        np.testing.assert_allclose(points[:, :2], expected, atol=1e-5)
        assert (points[:, 2] == 1).all()
        if frame == 3 and lens is None:
            # Track 7 has moved by 3 px in one frame, track 9 by 2 px in two, track 12 not at all.
            step_s = STEP_NS / 1e9
            np.testing.assert_allclose(velocity_x, [3 / step_s, 0, 0], rtol=1e-5)
            np.testing.assert_allclose(velocity_y, [0, 1 / step_s, 0], rtol=1e-5)
        if frame == 0:
            assert not np.any([velocity_x, velocity_y])


@pytest.mark.parametrize("read", [by_mcap, by_rosbags])
@pytest.mark.parametrize(
    ("lens", "model", "coefficients"),
    [
        (RADIAL, "plumb_bob", [-0.2, 0.05, 0.001, -0.002, 0]),
        (FISHEYE, "equidistant", [0.02, -0.01, 0.003, -0.001]),
        (
            replace(RADIAL, distortion=(0.1, 0.2, 0.0, 0.0, 0.3, 0.01, 0.02, 0.03)),
            "rational_polynomial",
            [0.1, 0.2, 0, 0, 0.3, 0.01, 0.02, 0.03],
        ),
    ],
)
def test_lenses_come_back(
    tmp_path: Path, read: Any, lens: Lens, model: str, coefficients: list[float]
) -> None:
    infos = [
        message for topic, _, message in read(exported(tmp_path, lens=known(lens))) if topic == "/camera_info"
    ]
    assert len(infos) == 4
    info = infos[0]
    assert (info.width, info.height, info.distortion_model) == (*SIZE_WH, model)
    np.testing.assert_array_equal(info.d, coefficients)
    np.testing.assert_array_equal(np.array(info.k).reshape(3, 3), lens.matrix)
    np.testing.assert_array_equal(np.array(info.r).reshape(3, 3), np.eye(3))
    np.testing.assert_array_equal(np.array(info.p).reshape(3, 4)[:, :3], lens.matrix)
    assert not info.roi.do_rectify


@pytest.mark.parametrize("read", [by_mcap, by_rosbags])
def test_annotations_come_back(tmp_path: Path, read: Any) -> None:
    found = [message for topic, _, message in read(exported(tmp_path)) if topic == "/annotations"]
    (dots,) = found[3].points
    assert dots.type == 1
    assert [(point.x, point.y) for point in dots.points] == [(29, 40.5), (200.25, 103), (90, 60)]
    assert len(dots.outline_colors) == 3
    assert all(colour.a == 1 for colour in dots.outline_colors)
    assert len({(colour.r, colour.g, colour.b) for colour in dots.outline_colors}) == 3
    assert [(text.text, text.position.x) for text in found[3].texts] == [("nose", 90)]
    assert list(found[0].texts) == []
    assert list(found[0].circles) == []


@pytest.mark.parametrize("read", [by_mcap, by_rosbags])
def test_pictures_are_those_of_the_video(tmp_path: Path, read: Any) -> None:
    scene = Scene(procedural_picture((460, 350), 3), SIZE_WH)
    images = [scene.render(index) for index in range(5)]
    write_clip(tmp_path / "a.mp4", images, fps=20, options={"crf": "10"})
    found = read(exported(tmp_path, video=str(tmp_path / "a.mp4")))
    pictures = [message for topic, _, message in found if topic == "/image/compressed"]
    assert len(pictures) == 4
    for image, message in zip(images, pictures, strict=False):
        assert message.format == "jpeg"
        shown = cv2.imdecode(np.frombuffer(bytes(message.data), np.uint8), cv2.IMREAD_COLOR)
        assert np.abs(shown.astype(int) - image).mean() < 6
    order = [topic for topic, _, _ in found]
    assert order == ["/image/compressed", "/tracks", "/annotations"] * 4


def test_a_video_that_is_too_short(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", [np.full((240, 320, 3), 90, np.uint8)] * 2, fps=20)
    with pytest.raises(SourceError, match="no frame 2: the tracks are of another video"):
        exported(tmp_path, video=str(tmp_path / "a.mp4"))
    assert not (tmp_path / "bag.mcap").exists()


def test_without_the_package_it_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "mcap", None)
    with pytest.raises(ConfigError, match=r"pip install 'realtime-kp\[mcap\]'"):
        exported(tmp_path)
