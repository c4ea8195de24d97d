from __future__ import annotations

from pathlib import Path

import pytest

from realtime_kp.errors import ConfigError
from realtime_kp.tracking import QueryPoint, read_query_points


def file(tmp_path: Path, text: str, suffix: str = ".csv") -> Path:
    path = tmp_path / f"points{suffix}"
    path.write_text(text, encoding="utf-8")
    return path


def test_csv_by_frame_and_by_time(tmp_path: Path) -> None:
    by_frame = read_query_points(file(tmp_path, "\ufeffframe, x, y, name\n3, 10.5, 20, left eye\n\n4,1,2,\n"))
    assert by_frame == (QueryPoint(0, "left eye", (10.5, 20.0), 3), QueryPoint(0, "", (1.0, 2.0), 4))
    by_time = read_query_points(file(tmp_path, "x,y,time_s\n1,2,0.5\n"))
    assert by_time == (QueryPoint(0, "", (1.0, 2.0), time_s=0.5),)


@pytest.mark.parametrize(
    "text", ["[[3, 20.5, 11], [0, 2.5, 1.5]]", '{"query_points": [[3, 20.5, 11], [0, 2.5, 1.5]]}']
)
def test_json_is_measured_from_the_corner_of_the_picture(tmp_path: Path, text: str) -> None:
    points = read_query_points(file(tmp_path, text, ".json"))
    assert points == (QueryPoint(0, "", (10.5, 20.0), 3), QueryPoint(0, "", (1.0, 2.0), 0))


def test_json_with_names(tmp_path: Path) -> None:
    text = '{"query_points": [[0, 1, 2]], "names": ["nose"]}'
    assert read_query_points(file(tmp_path, text, ".json"))[0].name == "nose"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"has the columns \(none\): a file of points has the columns frame or time_s, x, y, and name"),
        ("frame,x,y\n", "holds no points"),
        ("frame,x,y,colour\n1,2,3,red\n", "unknown column 'colour'"),
        ("frame,x\n1,2\n", "has the columns frame, x"),
        ("x,y\n1,2\n", "has the columns x, y"),
        ("frame,time_s,x,y\n1,1,2,3\n", "has the columns frame, time_s, x, y"),
        ("frame,x,y\n1,2,3\n1,two,3\n", "line 3: x must be a number, got 'two'"),
        ("frame,x,y\n1,2\n", "line 2: y must be a number, got None"),
        ("frame,x,y\n1.5,2,3\n", "line 2: frame must be a whole number, got '1.5'"),
        ("frame,x,y\ninf,2,3\n", "line 2: frame must be a whole number, got 'inf'"),
        ("frame,x,y\n-1,2,3\n", "line 2: point .*: frame must be at least 0"),
        ("frame,x,y\n1,nan,3\n", "line 2: point .*: x and y must be numbers"),
        ("time_s,x,y\nnan,1,3\n", "line 2: point .*: time_s must be a number"),
    ],
)
def test_csv_that_holds_no_points_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_query_points(file(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no JSON"),
        ("3", r"must hold a list of \[t, y, x\]"),
        ('{"points": []}', "an object with query_points"),
        ("[]", "holds no points"),
        ("[[1, 2]]", r"query_points\[0\] must be \[t, y, x\]"),
        ('[[1, 2, "a"]]', r"query_points\[0\]: x must be a number"),
        ('{"query_points": [[0, 1, 2]], "names": ["a", "b"]}', "1 query_points and 2 names"),
    ],
)
def test_json_that_holds_no_points_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_query_points(file(tmp_path, text, ".json"))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read the points of .*none\.csv"):
        read_query_points(tmp_path / "none.csv")
    binary = tmp_path / "points.csv"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot read the points of"):
        read_query_points(binary)
