from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace

import pytest

from realtime_kp.serve.outbox import Outbox, OutboxClosedError, VideoOutbox
from realtime_kp.serve.picture import Picture, PictureKind

KIND = PictureKind("h264", "plain")


def picture(frame: int, key: bool = False) -> Picture:
    return Picture(KIND, frame, 0.0, (64, 48), key, b"data")


def run(body: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(_awaited(body), 10))


async def _awaited(body: Callable[[], Awaitable[None]]) -> None:
    await body()


def test_the_newest_replaces_what_waits_and_is_counted() -> None:
    async def body() -> None:
        outbox: Outbox[int] = Outbox()
        for number in range(5):
            outbox.put(number)
        assert await outbox.get() == 4
        assert (outbox.sent, outbox.skipped) == (1, 4)

    run(body)


def test_news_of_different_kinds_do_not_replace_each_other() -> None:
    async def body() -> None:
        outbox: Outbox[str] = Outbox()
        outbox.put("hello", "hello")
        outbox.put("status 1", "status")
        outbox.put("status 2", "status")
        assert [await outbox.get(), await outbox.get()] == ["hello", "status 2"]

    run(body)


def test_a_kind_with_much_news_does_not_hold_the_others_back() -> None:
    async def body() -> None:
        outbox: Outbox[str] = Outbox()
        outbox.put("status", "status")
        outbox.put("pong", "pong")
        outbox.put("status", "status")
        assert await outbox.get() == "pong"

    run(body)


def test_only_so_many_are_on_their_way_without_an_answer() -> None:
    async def body() -> None:
        outbox: Outbox[int] = Outbox(window=2)
        for number in range(2):
            outbox.put(number, number=number)
            assert await outbox.get() == number
        outbox.put(2, number=2)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(outbox.get(), 0.05)
        outbox.put(3, number=3)
        outbox.answered(0)
        assert await outbox.get() == 3
        assert outbox.skipped == 1

    run(body)


def test_a_viewer_whose_answers_are_slow_gets_fewer_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 0.0
    # The module's own clock, and not the event loop's.
    monkeypatch.setattr("realtime_kp.serve.outbox.time", SimpleNamespace(monotonic=lambda: now_s))

    async def on_their_way(outbox: Outbox[int], first: int) -> int:
        """How many can be taken without an answer."""
        count = 0
        try:
            while True:
                outbox.put(first + count, number=first + count)
                await asyncio.wait_for(outbox.get(), 0.02)
                count += 1
        except TimeoutError:
            return count

    async def answer_one_by_one(outbox: Outbox[int], first: int) -> None:
        nonlocal now_s
        for number in range(first, first + 20):
            outbox.put(number, number=number)
            await outbox.get()
            now_s += 0.1
            outbox.answered(number)

    async def body() -> None:
        nonlocal now_s
        outbox: Outbox[int] = Outbox(window=8)
        assert await on_their_way(outbox, 0) == 2
        outbox.answered(1)
        await answer_one_by_one(outbox, 10)
        assert await on_their_way(outbox, 50) == 8
        now_s += 2.0
        outbox.answered(51)
        outbox.answered(57)
        assert await on_their_way(outbox, 60) == 1
        outbox.answered(60)
        await answer_one_by_one(outbox, 70)
        assert await on_their_way(outbox, 100) == 8

    run(body)


def test_who_waits_is_woken_by_news_and_by_the_end() -> None:
    async def body() -> None:
        outbox: Outbox[int] = Outbox()
        waiting = asyncio.create_task(outbox.get())
        await asyncio.sleep(0)
        outbox.put(7)
        assert await waiting == 7
        waiting = asyncio.create_task(outbox.get())
        await asyncio.sleep(0)
        outbox.close()
        with pytest.raises(OutboxClosedError):
            await waiting

    run(body)


def test_video_begins_with_a_key_frame_and_asks_for_one() -> None:
    async def body() -> None:
        asked: list[int] = []
        outbox = VideoOutbox(lambda: asked.append(1))
        outbox.put(picture(0))
        assert asked
        outbox.put(picture(1, key=True))
        outbox.put(picture(2))
        assert [(await outbox.get()).frame, (await outbox.get()).frame] == [1, 2]
        assert outbox.skipped == 1

    run(body)


def test_a_chain_that_grows_too_long_is_skipped_up_to_the_next_key_frame() -> None:
    async def body() -> None:
        asked: list[int] = []
        outbox = VideoOutbox(lambda: asked.append(1), window=2)
        outbox.put(picture(0, key=True))
        for frame in range(1, 60):
            outbox.put(picture(frame))
        # Nothing of it was taken: all of it is gone, as none can be decoded without those before.
        assert outbox.skipped == 60
        outbox.put(picture(60, key=True))
        outbox.put(picture(61))
        assert [(await outbox.get()).frame, (await outbox.get()).frame] == [60, 61]
        asked.clear()
        for frame in range(62, 90):
            outbox.put(picture(frame))
        # Who has not answered yet gets no key frame: it would come too late as well.
        assert not asked
        outbox.answered(61)
        outbox.put(picture(90))
        assert asked

    run(body)


def test_a_viewer_that_was_slow_is_brought_up_to_date_while_frames_stand_still() -> None:
    async def body() -> None:
        asked: list[int] = []
        outbox = VideoOutbox(lambda: asked.append(1), window=2)
        outbox.put(picture(0, key=True))
        outbox.put(picture(1))
        for _ in range(2):
            await outbox.get()
        for frame in range(2, 30):
            outbox.put(picture(frame))
        assert not asked
        # No frame comes any more: the answer alone has to ask.
        outbox.answered(1)
        assert asked

    run(body)


def test_what_is_skipped_and_sent_is_all_there_was() -> None:
    async def body() -> None:
        outbox = VideoOutbox(lambda: None, window=3)
        got = []
        for frame in range(200):
            outbox.put(picture(frame, key=frame % 50 == 0))
            if frame % 4 == 0:
                try:
                    got.append((await asyncio.wait_for(outbox.get(), 0.001)).frame)
                    outbox.answered(got[-1])
                except TimeoutError:
                    continue
        waiting = 0
        while True:
            try:
                await asyncio.wait_for(outbox.get(), 0.001)
                outbox.answered(10**6)
                waiting += 1
            except TimeoutError:
                break
        assert len(got) + waiting + outbox.skipped == 200
        assert got == sorted(got)

    run(body)
