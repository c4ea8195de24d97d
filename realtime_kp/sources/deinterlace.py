"""Deinterlacing: the two fields of an interlaced frame belong to different times."""

from __future__ import annotations

from collections.abc import Iterator

import av
from av.filter import Graph


def deinterlaced(pictures: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    """Deinterlace frames from the first interlaced one on; progressive ones pass unchanged.

    FFmpeg's bwdif gives one frame per interlaced frame, at the time of its first field. It needs the
    following frame, so that output is delayed by one. Keypoints on combing artefacts would be meaningless.

    Args:
        pictures: Decoded frames.
    """
    bench: Graph | None = None
    made_for: tuple[object, ...] = ()
    for picture in pictures:
        kind = (picture.width, picture.height, picture.format.name, picture.time_base)
        if bench is not None and kind != made_for:
            yield from _rest(bench)
            bench = None
        if bench is None and picture.interlaced_frame:
            bench, made_for = _bench(picture), kind
        if bench is None:
            yield picture
        else:
            bench.push(picture)
            yield from _ready(bench)
    if bench is not None:
        yield from _rest(bench)


def _bench(picture: av.VideoFrame) -> Graph:
    graph = Graph()
    begin = graph.add_buffer(
        width=picture.width,
        height=picture.height,
        format=picture.format,
        time_base=picture.time_base,
    )
    whole = graph.add("bwdif", "mode=send_frame:deint=interlaced")
    end = graph.add("buffersink")
    begin.link_to(whole)
    whole.link_to(end)
    graph.configure()
    return graph


def _ready(graph: Graph) -> Iterator[av.VideoFrame]:
    while True:
        try:
            picture = graph.pull()
        except (BlockingIOError, av.error.EOFError):
            return
        assert isinstance(picture, av.VideoFrame)
        yield picture


def _rest(graph: Graph) -> Iterator[av.VideoFrame]:
    graph.push(None)
    yield from _ready(graph)
