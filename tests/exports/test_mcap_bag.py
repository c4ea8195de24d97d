"""A ROS 2 bag, read back by rosbags, by mcap and by mcap-ros2-support."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from realtime_kp.cli import main
from realtime_kp.errors import ConfigError, SourceError
from realtime_kp.exports import TrackTable, check_export, export_tracks
from realtime_kp.exports.ros_messages import camera_info, distortion_of
from realtime_kp.lens import Lens, lens_text, open_lens_file
from tests.conftest import numbered_image, write_clip

pytest.importorskip("mcap", reason="needs pip install 'realtime-kp[mcap]'")
pytest.importorskip("rosbags", reason="needs pip install rosbags")
pytest.importorskip("mcap_ros2", reason="needs pip install mcap-ros2-support")

START_NS = 1403636579763555584
STEP_NS = 50_000_001
CHANNELS = ["id_of_point", "u_of_point", "v_of_point", "velocity_x_of_point", "velocity_y_of_point"]
WIDE = Lens((64, 48), (30.0, 31.0), (31.5, 23.0), (-0.2, 0.05, 0.001, 0.002, -0.01))


def table(frames: int = 5, count: int = 12, **notes: Any) -> TrackTable:
    """Tracks that move to the right; those with even ids are not seen in frame 2, nothing in frame 3."""
    rows = [
        (frame, number, 3.5 * number + 2 * frame, 20 + number / 8)
        for frame in range(frames)
        for number in range(1, count + 1)
        if frame != 3 and (frame != 2 or number % 2)
    ]
    frame, ids, x, y = np.array(rows).T
    whole = {"frame": frame.astype(np.int64), "track_id": ids.astype(np.int64)}
    columns = {**whole, "x": x, "y": y, "time_ns": START_NS + whole["frame"] * STEP_NS}
    columns["label"] = np.where(ids == 2, "Näschen", "").astype(object)
    return TrackTable(columns, {"width": 64, "height": 48, "fps": 20.0, **notes})


def read_back(path: Path) -> list[tuple[str, int, Any]]:
    """Topic, time and message of all that a bag holds, by the definitions that stand in it."""
    from rosbags.rosbag2 import Reader
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    with Reader(path) as reader:
        types = get_typestore(Stores.EMPTY)
        for connection in reader.connections:
            types.register(get_types_from_msg(connection.msgdef.data, connection.msgtype))
        return [
            (connection.topic, time_ns, types.deserialize_cdr(data, connection.msgtype))
            for connection, time_ns, data in reader.messages()
        ]


def of_topic(path: Path, topic: str) -> list[Any]:
    return [message for name, _, message in read_back(path) if name == topic]


def stamp_ns(stamp: Any) -> int:
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "a.mp4", [numbered_image(number) for number in range(5)])


@pytest.fixture
def lens_file(tmp_path: Path) -> Path:
    path = tmp_path / "lens.yaml"
    path.write_text(lens_text(WIDE))
    return path


def test_points_are_pixels_where_no_lens_is_known(tmp_path: Path) -> None:
    tracks = table()
    assert export_tracks(tracks, "mcap", tmp_path / "t.mcap") == 12
    assert {name for name, _, _ in read_back(tmp_path / "t.mcap")} == {"/tracks", "/tracks/annotations"}
    clouds = of_topic(tmp_path / "t.mcap", "/tracks")
    for number, cloud in enumerate(clouds):
        rows = tracks.frame(number)
        assert [channel.name for channel in cloud.channels] == CHANNELS
        ids, u, v, vx, vy = (channel.values for channel in cloud.channels)
        assert ids.tolist() == rows.ids.tolist()
        np.testing.assert_array_equal(np.stack([u, v], axis=1), rows.xy.astype(np.float32))
        assert [(point.x, point.y, point.z) for point in cloud.points] == [(*xy, 0) for xy in rows.xy]
        np.testing.assert_allclose(vx, 0 if number == 0 else 2e9 / STEP_NS, rtol=1e-6)
        assert not vy.any()
        assert cloud.header.frame_id == "camera"
    assert len(clouds) == 5
    assert len(clouds[3].points) == 0


def test_points_are_directions_where_the_lens_is_known(tmp_path: Path, lens_file: Path) -> None:
    tracks = table()
    export_tracks(tracks, "mcap", tmp_path / "t.mcap", lens=open_lens_file(lens_file))
    first, second = of_topic(tmp_path / "t.mcap", "/tracks")[:2]
    there = [WIDE.normalised(tracks.frame(number).xy) for number in (0, 1)]
    for cloud, places in zip((first, second), there, strict=True):
        found = [(point.x, point.y, point.z) for point in cloud.points]
        np.testing.assert_allclose(found, np.pad(places, ((0, 0), (0, 1)), constant_values=1), atol=1e-6)
    velocity = np.stack([second.channels[number].values for number in (3, 4)], axis=1)
    np.testing.assert_allclose(velocity, (there[1] - there[0]) / STEP_NS * 1e9, atol=1e-4)
    # The pixels are those of the picture, not straightened.
    np.testing.assert_allclose(second.channels[1].values, tracks.frame(1).xy[:, 0])


def test_points_where_the_lens_sees_no_direction_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "l.yaml").write_text(
        lens_text(Lens((64, 48), (20.0, 20.0), (31.5, 23.5), (-0.6, 0, 0, 0, 0)))
    )
    lens = open_lens_file(tmp_path / "l.yaml")
    tracks = table()
    sees = np.isfinite(lens.of_size((64, 48)).normalised(tracks.frame(4).xy)).all(axis=1)
    assert 0 < sees.sum() < len(sees)
    export_tracks(tracks, "mcap", tmp_path / "t.mcap", lens=lens)
    cloud = of_topic(tmp_path / "t.mcap", "/tracks")[4]
    assert cloud.channels[0].values.tolist() == tracks.frame(4).ids[sees].tolist()
    assert len(cloud.points) == sees.sum()
    assert all(np.isfinite(channel.values).all() for channel in cloud.channels)


def test_annotations_name_each_point(tmp_path: Path) -> None:
    tracks = table()
    export_tracks(tracks, "mcap", tmp_path / "t.mcap")
    for number, message in enumerate(of_topic(tmp_path / "t.mcap", "/tracks/annotations")):
        (points,) = message.points
        assert points.type == points.POINTS
        assert len(points.points) == len(points.outline_colors) == len(message.texts)
        texts = [text.text for text in message.texts]
        ids = [2 if text == "Näschen" else int(text) for text in texts]
        assert sorted(ids) == tracks.frame(number).ids.tolist()
        places = dict(zip(ids, ((point.x, point.y) for point in points.points), strict=True))
        for track_id, xy in zip(tracks.frame(number).ids.tolist(), tracks.frame(number).xy, strict=True):
            # The upper left corner of the picture is at (0, 0).
            np.testing.assert_allclose(places[track_id], xy + 0.5)
        for point, text, colour in zip(points.points, message.texts, points.outline_colors, strict=True):
            assert 0 < text.position.x - point.x < 10
            assert (text.text_color.r, text.text_color.g) == (colour.r, colour.g)
            assert text.font_size > 0
            assert colour.a == 1
        assert stamp_ns(points.timestamp) == START_NS + number * STEP_NS


def test_all_messages_of_a_frame_have_its_time(tmp_path: Path, clip: Path, lens_file: Path) -> None:
    from mcap.reader import make_reader

    path = tmp_path / "t.mcap"
    export_tracks(table(), "mcap", path, video=str(clip), lens=open_lens_file(lens_file))
    topics = {"/camera_info", "/image/compressed", "/tracks", "/tracks/annotations"}
    with open(path, "rb") as file:
        reader = make_reader(file)
        summary = reader.get_summary()
        messages = [
            (channel.topic, message) for _, channel, message in reader.iter_messages(log_time_order=False)
        ]
        assert reader.get_header().profile == "ros2"
        # A reader goes to a time by the index.
        one_ns = START_NS + 2 * STEP_NS
        late = list(reader.iter_messages(starting_at=one_ns, ending_at=one_ns))
    assert summary is not None
    assert summary.statistics is not None
    assert {channel.topic for channel in summary.channels.values()} == topics
    assert summary.statistics.message_start_time == START_NS
    assert {channel.topic for _, channel, _ in late} == topics
    assert {message.log_time for _, _, message in late} == {one_ns}
    times_ns = [message.log_time for _, message in messages]
    assert times_ns == sorted(times_ns)
    assert sorted(set(times_ns)) == [START_NS + number * STEP_NS for number in range(5)]
    assert all(message.publish_time == message.log_time for _, message in messages)
    for topic in topics:
        assert [message.sequence for name, message in messages if name == topic] == list(range(5))
    for name, time_ns, message in read_back(path):
        if name != "/tracks/annotations":
            assert stamp_ns(message.header.stamp) == time_ns


def test_pictures_are_those_of_the_frames_that_count(tmp_path: Path, clip: Path) -> None:
    export_tracks(table(), "mcap", tmp_path / "t.mcap", video=str(clip), every=2)
    pictures = of_topic(tmp_path / "t.mcap", "/image/compressed")
    assert [stamp_ns(one.header.stamp) - START_NS for one in pictures] == [0, 2 * STEP_NS, 4 * STEP_NS]
    for picture, number in zip(pictures, (0, 2, 4), strict=True):
        assert picture.format == "jpeg"
        image = cv2.imdecode(picture.data, cv2.IMREAD_COLOR)
        assert image.shape == (48, 64, 3)
        assert abs(image.astype(int) - numbered_image(number)).mean() < 4
    assert len(of_topic(tmp_path / "t.mcap", "/tracks")) == 3
    with pytest.raises(SourceError, match="has no frame 5: the tracks are of another video"):
        export_tracks(table(8), "mcap", tmp_path / "u.mcap", video=str(clip))
    assert not list(tmp_path.glob("u*"))


@pytest.mark.parametrize(
    ("lens", "model", "coefficients"),
    [
        (Lens((64, 48), (30.0, 31.0), (31.5, 23.5)), "plumb_bob", (0, 0, 0, 0, 0)),
        (WIDE, "plumb_bob", WIDE.distortion),
        (
            Lens((64, 48), (30.0, 31.0), (31.5, 23.5), (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)),
            "rational_polynomial",
            (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8),
        ),
        (
            Lens((64, 48), (30.0, 31.0), (31.5, 23.5), (0.1, 0.2, 0.3, 0.4), "fisheye"),
            "equidistant",
            (0.1, 0.2, 0.3, 0.4),
        ),
    ],
)
def test_lenses_are_those_of_ros(lens: Lens, model: str, coefficients: tuple[float, ...]) -> None:
    from rosbags.typesys import Stores, get_typestore

    # By the definitions of a release of ROS, rather than by our own.
    types = get_typestore(Stores.ROS2_JAZZY)
    found: Any = types.deserialize_cdr(camera_info(START_NS, lens), "sensor_msgs/msg/CameraInfo")
    assert (found.width, found.height, found.distortion_model) == (64, 48, model)
    assert tuple(found.d) == tuple(coefficients)
    np.testing.assert_array_equal(found.k.reshape(3, 3), lens.matrix)
    np.testing.assert_array_equal(found.r.reshape(3, 3), np.eye(3))
    np.testing.assert_array_equal(found.p.reshape(3, 4), np.pad(lens.matrix, ((0, 0), (0, 1))))
    assert (found.binning_x, found.roi.width, found.roi.do_rectify) == (0, 0, False)
    assert stamp_ns(found.header.stamp) == START_NS


def test_what_ros_does_not_have(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="thin prism"):
        distortion_of(Lens((64, 48), (30.0, 30.0), (31.5, 23.5), (0.1,) * 12))
    for shift_ns in (-START_NS - 1, 2**31 * 10**9 - START_NS):
        tracks = table()
        moved = TrackTable({**tracks.columns, "time_ns": tracks.columns["time_ns"] + shift_ns}, tracks.notes)
        with pytest.raises(SourceError, match="mcap takes 0 to"):
            export_tracks(moved, "mcap", tmp_path / "t.mcap")
    assert list(tmp_path.iterdir()) == []


def test_definitions_are_those_of_a_release(tmp_path: Path, clip: Path, lens_file: Path) -> None:
    from rosbags.rosbag2 import Reader
    from rosbags.typesys import Stores, get_typestore

    export_tracks(table(), "mcap", tmp_path / "t.mcap", video=str(clip), lens=open_lens_file(lens_file))
    types = get_typestore(Stores.ROS2_JAZZY)
    with Reader(tmp_path / "t.mcap") as reader:
        known = [one for one in reader.connections if not one.msgtype.startswith("foxglove")]
        assert len(known) == 3
        ours = {(topic, time_ns): message for topic, time_ns, message in read_back(tmp_path / "t.mcap")}
        for connection, time_ns, data in reader.messages(known):
            message: Any = types.deserialize_cdr(data, connection.msgtype)
            assert message.header.frame_id == ours[connection.topic, time_ns].header.frame_id
            assert types.serialize_cdr(message, connection.msgtype) == data


def test_another_reader_finds_the_same(tmp_path: Path, clip: Path, lens_file: Path) -> None:
    from mcap.reader import make_reader
    from mcap_ros2.decoder import DecoderFactory

    path = tmp_path / "t.mcap"
    export_tracks(table(), "mcap", path, video=str(clip), lens=open_lens_file(lens_file))
    ours = {(topic, time_ns): message for topic, time_ns, message in read_back(path)}
    with open(path, "rb") as file:
        decoded = list(make_reader(file, decoder_factories=[DecoderFactory()]).iter_decoded_messages())
    for _, topic, record, message in decoded:
        same = ours[topic.topic, record.log_time]
        match topic.topic:
            case "/tracks":
                for channel, other in zip(message.channels, same.channels, strict=True):
                    assert channel.name == other.name
                    np.testing.assert_array_equal(channel.values, other.values)
            case "/tracks/annotations":
                assert [one.text for one in message.texts] == [one.text for one in same.texts]
                assert [one.position.y for one in message.texts] == [one.position.y for one in same.texts]
            case "/image/compressed":
                assert bytes(message.data) == same.data.tobytes()
            case "/camera_info":
                assert list(message.d) == same.d.tolist()
    assert len(decoded) == len(ours) == 20


def test_ids_that_float32_does_not_hold_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tracks = table()
    export_tracks(tracks, "mcap", tmp_path / "t.mcap")
    assert "rounded" not in caplog.text
    large = TrackTable({**tracks.columns, "track_id": tracks.ids + 2**24}, tracks.notes)
    export_tracks(large, "mcap", tmp_path / "t.mcap")
    assert "ids above 16777216 are rounded" in caplog.text


def test_without_mcap_the_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'realtime-kp\[mcap\]'"):
        check_export("mcap", tmp_path / "t.mcap")


def test_straight_from_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["video", "demo:room?size=320x240", "--max-frames", "6", "--model", "small", "--resize", "320"]
    assert main([*words, "-q", "--no-video", "--export", "mcap:t.mcap"]) == 0
    found = read_back(tmp_path / "t.mcap")
    clouds = [message for topic, _, message in found if topic == "/tracks"]
    pictures = [message for topic, _, message in found if topic == "/image/compressed"]
    assert len(clouds) == len(pictures) >= 5
    assert all(len(cloud.points) > 50 for cloud in clouds)
