from __future__ import annotations

import pytest

from realtime_kp.serve.access import Access, host_name, same_origin
from realtime_kp.serve.limits import FailedAttempts, TokenBucket


def admits(access: Access, host: str = "h:1", authorization: str = "", cookie: str = "") -> bool:
    return access.admits(host=host, authorization=authorization, cookie=cookie)


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "LOCALHOST", "[::1]:8000", "127.1.2.3"])
def test_without_a_token_this_machine_is_served(host: str) -> None:
    assert admits(Access(None), host)


@pytest.mark.parametrize(
    "host",
    ["evil.example:8000", "", "127.0.0.1.evil.example", "192.168.1.7:8000", "[::1", "localhost.evil.example"],
)
def test_without_a_token_other_names_are_refused(host: str) -> None:
    assert not admits(Access(None), host)


def test_a_token_is_shown_in_a_header_or_as_a_cookie() -> None:
    access = Access("correct-horse")
    assert admits(access, authorization="Bearer correct-horse")
    assert admits(access, authorization="bearer  correct-horse")
    assert admits(access, cookie=access.cookie)
    for header in (
        "",
        "Bearer",
        "Bearer correct-hors",
        "Basic correct-horse",
        "correct-horse",
        "Bearer \udcff",
    ):
        assert not admits(access, authorization=header)
    # The cookie is not the token, nor the other way round.
    assert not admits(access, cookie="correct-horse")
    assert not admits(access, authorization=f"Bearer {access.cookie}")
    assert not admits(access, host="127.0.0.1:1")


def test_a_token_is_made_anew_each_time() -> None:
    one, other = Access("auto").token, Access("auto").token
    assert one is not None
    assert len(one) >= 32
    assert one != other


def test_the_cookie_outlives_the_server() -> None:
    assert Access("correct-horse").cookie == Access("correct-horse").cookie != Access("correct-hors").cookie


@pytest.mark.parametrize(
    ("origin", "same"),
    [
        (None, True),
        ("http://robot:8000", True),
        ("https://ROBOT:8000", True),
        ("http://robot", False),
        ("http://robot:8001", False),
        ("http://evil.example", False),
        ("null", False),
        ("file://", False),
        ("http://[", False),
        ("", False),
    ],
)
def test_sockets_are_opened_by_this_page_only(origin: str | None, same: bool) -> None:
    assert same_origin(origin, "robot:8000") is same


def test_host_names() -> None:
    assert [host_name(text) for text in ("a:1", "[::1]:2", "a", "", "[")] == ["a", "::1", "a", "", ""]


def test_a_bucket_lets_a_burst_through_and_then_a_rate() -> None:
    bucket = TokenBucket(rate=0.001, burst=5)
    assert [bucket.take() for _ in range(7)] == [True] * 5 + [False] * 2


def test_attempts_are_counted_for_each_address_within_bounds() -> None:
    attempts = FailedAttempts(most=3)
    assert [attempts.allow("a") for _ in range(5)] == [True] * 3 + [False] * 2
    assert attempts.allow("b")
    for number in range(5000):
        attempts.allow(f"address {number}")
    assert len(attempts._buckets) <= 1024
