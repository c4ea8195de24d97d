from __future__ import annotations

import pytest

from realtime_kp.serve.access import Access, host_name, same_origin
from realtime_kp.serve.limits import FailedAttempts, TokenBucket


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "LOCALHOST", "[::1]:8000", "127.1.2.3"])
def test_without_a_token_this_machine_is_served(host: str) -> None:
    assert Access(None).serves(host)


@pytest.mark.parametrize(
    "host",
    ["evil.example:80", "", "127.0.0.1.evil.example", "192.168.1.7:80", "[::1", "localhost.evil.example"],
)
def test_without_a_token_other_names_are_refused(host: str) -> None:
    assert not Access(None).serves(host)


def test_a_token_is_shown_in_a_header_or_as_a_cookie() -> None:
    access = Access("correct-horse")
    for header in ("Bearer correct-horse", "bearer  correct-horse "):
        assert access.is_token(access.bearer(header))
    for header in (
        "",
        "Bearer",
        "Bearer correct-hors",
        "Basic correct-horse",
        "correct-horse",
        "Bearer \udcff",
    ):
        assert not access.is_token(access.bearer(header))
    assert access.knows_cookie(access.cookie)
    # The cookie is not the token, nor the other way round.
    assert not access.knows_cookie("correct-horse")
    assert not access.is_token(access.cookie)
    assert not Access(None).knows_cookie("")
    assert not Access(None).is_token("")


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


def test_wrong_secrets_are_counted_for_each_address_within_bounds() -> None:
    failed = FailedAttempts(most=3)
    for _ in range(3):
        assert not failed.blocked("a")
        failed.count("a")
    assert failed.blocked("a")
    assert not failed.blocked("b")
    for number in range(5000):
        failed.count(f"address {number}")
    assert len(failed._buckets) <= 1024
