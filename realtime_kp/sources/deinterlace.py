"""Interlaced video as whole pictures: every other line of its frames is of another moment."""

from __future__ import annotations

from collections.abc import Iterator

import av
from av.filter import Graph


def progressive(pictures: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    """Pass pictures on; from the first interlaced one on, those that are interlaced become whole.

    One picture comes of each, of the moment of its first field and with its timestamp, by FFmpeg's bwdif.
    It looks at the neighbours: interlaced pictures come one later. Keypoints on combs would be no keypoints.

    Args:
        pictures: Decoded pictures.
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
