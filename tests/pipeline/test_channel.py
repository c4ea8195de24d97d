from __future__ import annotations

import threading

import pytest

from realtime_kp.pipeline import Channel, ChannelClosedError
from tests.conftest import within


def in_thread(body: object) -> threading.Thread:
    thread = threading.Thread(target=body, daemon=True)  # type: ignore[arg-type]
    thread.start()
    return thread


def test_items_come_out_in_order() -> None:
    channel: Channel[int] = Channel(3)
    for i in range(3):
        channel.put(i)
    assert [channel.get(0) for _ in range(3)] == [0, 1, 2]


def test_drop_oldest_keeps_the_newest_and_counts() -> None:
    channel: Channel[int] = Channel(2, "drop_oldest")
    for i in range(5):
        channel.put(i)
    assert channel.dropped == 3
    assert [channel.get(0), channel.get(0)] == [3, 4]


def test_block_waits_for_room_and_loses_nothing() -> None:
    channel: Channel[int] = Channel(1)
    got: list[int | None] = []
    producer = in_thread(lambda: [channel.put(i) for i in range(50)])
    while len(got) < 50:
        got.append(channel.get(2))
    producer.join(2)
    assert got == list(range(50))
    assert channel.dropped == 0


def test_get_gives_up_after_its_time() -> None:
    assert Channel[int](1).get(0.01) is None


def test_closing_wakes_a_blocked_put() -> None:
    channel: Channel[int] = Channel(1)
    channel.put(0)
    raised = threading.Event()

    def put() -> None:
        with pytest.raises(ChannelClosedError):
            channel.put(1)
        raised.set()

    thread = in_thread(put)
    assert not raised.wait(0.05)
    channel.close()
    assert raised.wait(1)
    thread.join(1)


def test_closing_wakes_a_blocked_get() -> None:
    channel: Channel[int] = Channel(1)
    raised = threading.Event()

    def get() -> None:
        with pytest.raises(ChannelClosedError):
            channel.get()
        raised.set()

    thread = in_thread(get)
    channel.close()
    assert raised.wait(1)
    thread.join(1)


def test_what_waited_can_be_taken_after_closing() -> None:
    channel: Channel[int] = Channel(2)
    channel.put(7)
    channel.close()
    assert channel.get() == 7
    with pytest.raises(ChannelClosedError):
        channel.get()


def test_closing_can_throw_away_what_waited() -> None:
    channel: Channel[int] = Channel(2)
    channel.put(7)
    channel.close(discard=True)
    assert within(1, lambda: len(channel) == 0)
    with pytest.raises(ChannelClosedError):
        channel.get()


def test_a_channel_holds_at_least_one() -> None:
    with pytest.raises(ValueError, match="0"):
        Channel[int](0)
