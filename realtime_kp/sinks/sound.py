"""Audio of the source, copied into the annotated video without re-encoding."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av

from realtime_kp.errors import first_line
from realtime_kp.sources.container import file_options

log = logging.getLogger(__name__)

# Codecs that players support in MP4; others would have to be re-encoded.
_FITS_MP4 = frozenset({"aac", "mp3", "ac3", "eac3", "opus", "alac", "flac"})


class Sound:
    """Copies packets of the first audio stream of a file; an error loses the audio only.

    Args:
        path: The file that the frames come from.
        begin_s: Time 0 of the frames on the clock of the file.
    """

    def __init__(self, path: Path, begin_s: float = 0.0) -> None:
        self._path = path
        self._begin_s = begin_s
        self._input: av.container.InputContainer | None = None
        self._output: av.container.OutputContainer | None = None
        self._stream: av.stream.Stream | None = None
        self._packets: Iterator[av.Packet[Any]] = iter(())
        self._next: av.Packet[Any] | None = None

    def attach(self, output: av.container.OutputContainer) -> None:
        """Open the file and add an audio stream to the output, before anything is written to it."""
        try:
            self._input = av.open(str(self._path.absolute()), options=file_options(self._path))
            if not self._input.streams.audio:
                return
            source = self._input.streams.audio[0]
            codec = None if source.codec_context is None else source.codec_context.codec
            # The name of the decoder may differ, such as mp3float.
            name = "of an unknown kind" if codec is None else codec.canonical_name
            if name not in _FITS_MP4:
                log.warning("the audio of %s is %s, which MP4 does not support: omitted", self._path, name)
                return
            self._stream = output.add_stream_from_template(source)
            self._output = output
            self._packets = self._input.demux(source)
            self._next = next(self._packets, None)
        except (av.FFmpegError, OSError, ValueError) as exc:
            self._give_up(exc)

    def copy_until(self, time_s: float, zero_s: float) -> None:
        """Copy packets up to a time.

        Args:
            time_s: On the clock of the frames.
            zero_s: Time 0 of the output on the same clock; earlier packets are dropped.
        """
        time_s, zero_s = time_s + self._begin_s, zero_s + self._begin_s
        try:
            while self._next is not None and self._output is not None and self._stream is not None:
                packet = self._next
                if packet.pts is not None and packet.time_base is not None:
                    at_s = float(packet.pts * packet.time_base)
                    if at_s >= time_s:
                        return
                    if at_s >= zero_s:
                        self._write(packet, round(zero_s / packet.time_base))
                self._next = next(self._packets, None)
        except (av.FFmpegError, OSError, ValueError) as exc:
            self._give_up(exc)

    def close(self) -> None:
        """Close the file."""
        self._next = self._output = None
        if self._input is not None:
            self._input.close()
            self._input = None

    def _write(self, packet: av.Packet[Any], shift: int) -> None:
        assert self._output is not None
        assert packet.pts is not None
        packet.pts -= shift
        packet.dts = packet.pts if packet.dts is None else packet.dts - shift
        packet.stream = self._stream
        self._output.mux(packet)

    def _give_up(self, exc: Exception) -> None:
        log.warning("the audio of %s cannot be copied further: %s", self._path, first_line(exc))
        self.close()
