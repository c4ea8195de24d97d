"""Remuxing of the partial Matroska file into the final MP4 file, with the audio of the source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from realtime_kp.sinks.sound import Sound

TIME_BASE = Fraction(1, 90_000)


def write_mp4(
    grown: Path,
    target: Path,
    times: Sequence[int],
    *,
    frame_s: float,
    zero_s: float,
    sound: Sound | None,
    comment: str = "",
) -> None:
    """Remux video packets into an MP4 file that can be played while it loads.

    Args:
        grown: A video whose packets are in presentation order.
        target: The MP4 file.
        times: Presentation times in ticks of 1/90000 s; Matroska rounds to milliseconds.
        frame_s: Duration of the last frame.
        zero_s: Time 0 of the file on the clock of the audio.
        sound: Audio to add.
        comment: Text for the metadata of the file.

    Raises:
        av.FFmpegError: FFmpeg fails.
        OSError: The file system fails.
    """
    try:
        with (
            av.open(str(grown.absolute())) as pictures,
            av.open(str(target.absolute()), "w", format="mp4", options={"movflags": "+faststart"}) as out,
        ):
            if comment:
                out.metadata["comment"] = comment
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
                # The last frame gets the usual duration.
                sound.copy_until(zero_s + float(ends[-1] * TIME_BASE), zero_s)
    finally:
        if sound is not None:
            sound.close()


def read_comment(path: Path) -> str:
    """The comment in the metadata of a video; empty where there is none, or no video."""
    try:
        with av.open(str(path.absolute())) as container:
            return container.metadata.get("comment", "")
    except (av.FFmpegError, OSError, ValueError):
        return ""


def picture_packets(container: av.container.InputContainer) -> Iterator[av.Packet[Any]]:
    """Packets of the first video stream, one per frame."""
    return (packet for packet in container.demux(container.streams.video[0]) if packet.size)


def place(packet: av.Packet[Any], stream: av.stream.Stream, ticks: int) -> None:
    """Assign a packet to a stream, at a time in ticks of 1/90000 s."""
    packet.stream = stream
    packet.time_base = TIME_BASE
    packet.pts = packet.dts = ticks
