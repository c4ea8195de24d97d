from __future__ import annotations

from pathlib import Path

import pytest

from realtime_kp.apps.remote.addresses import address_in, address_of, copy_of, is_remote


@pytest.mark.parametrize(
    "address",
    ["s3://bucket/clips/a b.mp4", "gs://bucket/x", "hf://datasets/me/clips/a.mp4", "file:///tmp/a.mp4"],
)
def test_an_address_survives_being_a_path_and_a_copy(address: str, tmp_path: Path) -> None:
    assert is_remote(address)
    assert address_in(Path(address)) == address
    copy = copy_of(address, tmp_path)
    assert copy.is_relative_to(tmp_path)
    assert copy.name == address.rpartition("/")[2]
    assert address_of(copy, tmp_path) == address


@pytest.mark.parametrize(
    "name", ["a.mp4", "/tmp/s3/a.mp4", "rtsp://host/a", "http://host/a.mp4", "s3:/x", "s3://", "demo"]
)
def test_other_names_are_no_addresses(name: str, tmp_path: Path) -> None:
    assert not is_remote(name)
    assert address_of(Path(name), tmp_path) is None


@pytest.mark.parametrize("path", ["a.mp4", "/tmp/s3:/a.mp4", "out/t.csv", "http:/host/a"])
def test_paths_stay_paths(path: str) -> None:
    assert address_in(Path(path)) is None
