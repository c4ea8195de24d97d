from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import numpy as np
import pytest

from realtime_kp.apps.fleet.pieces import Found, Piece, Pieces, key_of
from realtime_kp.features import Extraction
from realtime_kp.frame import Frame
from realtime_kp.keypoints import Keypoints

FPS = 10
LENGTH_S = 2.0


def frame(index: int) -> Frame:
    image = np.full((8, 8, 3), index, np.uint8)
    return Frame(index, index / FPS, 0.0, image)


def found(index: int) -> Found:
    keypoints = Keypoints(
        np.full((1, 2), index, np.float32), np.ones(1, np.float32), np.ones((1, 64), np.float32), index
    )
    return Found(index / FPS, key_of(frame(index)), Extraction(keypoints, 0.0, 0.0, 0.0))


def pieces_of(seconds: float, *, stopped: bool = False) -> Pieces:
    pieces = Pieces(LENGTH_S, lambda: stopped)
    pieces.set_end(seconds)
    return pieces


def offer(pieces: Pieces, piece: Piece, indices: Sequence[int], helper: str = "b") -> bool:
    batch = [found(index) for index in indices]
    return pieces.offer(helper, piece.number, batch[0].time_s, batch[-1].time_s, lambda: batch)


def finish(pieces: Pieces, piece: Piece, helper: str = "b") -> None:
    pieces.offer(helper, piece.number, 0.0, 0.0, None)


def claimed(pieces: Pieces, helper: str = "b") -> Piece:
    piece = pieces.claim(helper)
    assert piece is not None
    return piece


def test_nothing_is_given_away_before_the_first_frame_or_without_an_end() -> None:
    pieces = Pieces(LENGTH_S, lambda: False)
    assert pieces.claim("b") is None
    assert pieces.found(frame(0)) is None
    assert pieces.open == 0
    pieces.set_end(2.0)
    assert (pieces.open, pieces.claim("b")) == (0, None)
    pieces.set_end(6.0)
    assert pieces.open == 2
    assert claimed(pieces) == Piece(1, 2.0, 4.0)


def test_what_a_helper_found_is_used_and_what_it_lacks_is_not() -> None:
    pieces = pieces_of(6.0)
    assert pieces.found(frame(0)) is None
    piece = claimed(pieces)
    assert offer(pieces, piece, [18, 19, 20, 21, 22])
    assert offer(pieces, piece, [24, 25, *range(26, 45)])
    finish(pieces, piece)
    for index in range(20, 40):
        result = pieces.found(frame(index))
        assert (result is None) == (index == 23)
        assert result is None or result.keypoints.xy[0, 0] == index
    assert pieces.found_elsewhere == 19


def test_frames_are_told_apart_by_what_they_show() -> None:
    one = frame(3)
    mask = np.ones((8, 8), np.uint8)
    assert key_of(one) != key_of(frame(4))
    assert key_of(one) != key_of(Frame(3, 0.3, 0.0, one.image_bgr, mask=mask))
    assert key_of(one) == key_of(Frame(9, 7.0, 0.0, one.image_bgr.copy()))
    assert key_of(one) != key_of(Frame(3, 0.3, 0.0, one.image_bgr.reshape(4, 16, 3)))


def test_the_tracking_worker_waits_for_what_is_in_work() -> None:
    pieces = pieces_of(6.0)
    pieces.found(frame(0))
    piece = claimed(pieces)
    results: list[Extraction | None] = []
    waiting = threading.Thread(target=lambda: results.append(pieces.found(frame(20))))
    waiting.start()
    time.sleep(0.3)
    assert waiting.is_alive()
    offer(pieces, piece, [20, 21])
    waiting.join(5)
    assert results[0] is not None


@pytest.mark.parametrize("how", ["released", "lost", "stopped"])
def test_what_will_never_come_is_not_waited_for(how: str) -> None:
    pieces = pieces_of(6.0, stopped=how == "stopped")
    pieces.found(frame(0))
    piece = claimed(pieces)
    if how == "lost":

        def lost() -> Sequence[Found]:
            raise LookupError("its node is gone")

        pieces.offer("b", piece.number, 1.9, 2.5, lost)
    started_s = time.perf_counter()
    results: list[Extraction | None] = []
    waiting = threading.Thread(target=lambda: results.append(pieces.found(frame(20))))
    waiting.start()
    if how == "released":
        time.sleep(0.2)
        pieces.release("b")
    waiting.join(5)
    assert results == [None]
    assert time.perf_counter() - started_s < 4


def test_a_released_piece_ahead_is_given_to_another() -> None:
    pieces = pieces_of(20.0)
    pieces.found(frame(0))
    piece = claimed(pieces, "b")
    pieces.release("b")
    assert not offer(pieces, piece, [20], "b")
    assert claimed(pieces, "c") == piece


def test_helpers_do_not_run_ahead_without_end() -> None:
    pieces = pieces_of(100.0)
    pieces.found(frame(0))
    for _ in range(2):
        finish(pieces, claimed(pieces))
    assert pieces.claim("b") is None
    assert claimed(pieces, "c").number == 3
    pieces.found(frame(20))
    assert claimed(pieces, "b").number == 5  # 4 stays for the tracking worker


def test_with_nothing_ready_a_piece_stays_for_the_tracking_worker() -> None:
    pieces = pieces_of(100.0)
    pieces.found(frame(0))
    first = claimed(pieces)
    offer(pieces, first, range(15, 45))
    finish(pieces, first)
    assert pieces.found(frame(20)) is not None
    assert claimed(pieces).number == 3
    assert pieces.found(frame(40)) is None


def test_what_was_used_takes_no_room() -> None:
    pieces = pieces_of(60.0)
    pieces.found(frame(0))
    piece = claimed(pieces)
    for start in range(15, 45, 5):
        offer(pieces, piece, range(start, start + 5))
    finish(pieces, piece)
    for index in range(20, 40):
        assert pieces.found(frame(index)) is not None
        assert len(pieces._fetched) <= 20
