"""From the Matroska file that grew to the MP4 file that stays: the same pictures, and the sound."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from realtime_kp.sinks.sound import Sound

TIME_BASE = Fraction(1, 90_000)


def write_mp4(
    grown: Path, target: Path, times: Sequence[int], *, frame_s: float, zero_s: float, sound: Sound | None
) -> None:
    """Copy pictures into an MP4 file that plays from its beginning while it still loads.

    Args:
        grown: A video whose pictures are in the order of their times.
        target: The MP4 file.
        times: When each picture is shown, ticks of 1/90000 s: Matroska rounds to milliseconds.
        frame_s: For how long the last picture is shown.
        zero_s: What is 0 in the file, on the clock of the sound.
        sound: What to hear with it.

    Raises:
        av.FFmpegError: FFmpeg refuses.
        OSError: The file system does.
    """
    try:
        with (
            av.open(str(grown.absolute())) as pictures,
            av.open(str(target.absolute()), "w", format="mp4", options={"movflags": "+faststart"}) as out,
        ):
            stream = out.add_stream_from_template(pictures.streams.video[0])
            stream.time_base = TIME_BASE
            if sound is not None:
                sound.attach(out)
            ends = [*times[1:], times[-1] + round(frame_s / TIME_BASE)] if times else []
            for packet, start, end in zip(picture_packets(pictures), times, ends, strict=False):
                if sound is not None:
                    sound.copy_until(zero_s + float(start * TIME_BASE), zero_s)
                place(packet, stream, start)
                packet.duration = end - start
                out.mux(packet)
            if sound is not None and ends:
                # The last picture is seen for as long as any.
                sound.copy_until(zero_s + float(ends[-1] * TIME_BASE), zero_s)
    finally:
        if sound is not None:
            sound.close()


def picture_packets(container: av.container.InputContainer) -> Iterator[av.Packet[Any]]:
    """The packets of the first video track, one a picture."""
    return (packet for packet in container.demux(container.streams.video[0]) if packet.size)


def place(packet: av.Packet[Any], stream: av.stream.Stream, ticks: int) -> None:
    """Make a packet one of a stream, at a time in ticks of 1/90000 s."""
    packet.stream = stream
    packet.time_base = TIME_BASE
    packet.pts = packet.dts = ticks
