from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from realtime_kp.cli import main
from realtime_kp.keypoints import TrackedFrame, Tracks
from realtime_kp.sinks import Sound, VideoFileSink
from realtime_kp.sources import open_source
from tests.conftest import numbered_image

RATE = 48_000


def sounding_clip(path: Path, seconds: int = 2, codec: str = "aac") -> Path:
    """Pictures at 25 a second, and a tone whose pitch rises from second to second."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream(codec, rate=RATE, layout="mono")
        for number in range(25 * seconds):
            frame = av.VideoFrame.from_ndarray(numbered_image(number), format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(video.encode(frame))
        time_s = np.arange(RATE * seconds) / RATE
        wave = np.sin(2 * np.pi * 440 * (1 + np.floor(time_s)) * time_s).astype(np.float32) * 0.5
        samples = wave[None] if codec != "pcm_s16le" else (wave[None] * 32000).astype(np.int16)
        tone = av.AudioFrame.from_ndarray(
            samples, format="fltp" if codec != "pcm_s16le" else "s16", layout="mono"
        )
        tone.sample_rate, tone.pts, tone.time_base = RATE, 0, Fraction(1, RATE)
        container.mux(sound.encode(tone))
        container.mux(sound.encode(None))
        container.mux(video.encode(None))
    return path


def heard(path: Path) -> tuple[float, list[float]]:
    """When the sound begins, and the pitch of each half second."""
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return 0.0, []
        frames = list(container.decode(audio=0))
    wave = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    half = RATE // 2
    pitches = []
    for start in range(0, len(wave) - half + 1, half):
        spectrum = np.abs(np.fft.rfft(wave[start : start + half] * np.hanning(half)))
        pitches.append(float(spectrum.argmax() * RATE / half))
    assert frames[0].time is not None
    return frames[0].time, pitches


def annotate(clip: Path, *arguments: str) -> Path:
    out = clip.with_name("out.mp4")
    words = ["video", str(clip), "-o", str(out), "--overwrite", "--resize", "64", "--model", "small", "-q"]
    assert main([*words, *arguments]) == 0
    return out


def test_the_sound_comes_along_in_time(tmp_path: Path) -> None:
    clip = sounding_clip(tmp_path / "clip.mp4")
    start_s, pitches = heard(annotate(clip))
    assert start_s == pytest.approx(heard(clip)[0], abs=0.03)
    assert pitches == pytest.approx([440, 440, 880, 880], abs=8)


def test_a_later_start_and_an_earlier_end_cut_the_sound(tmp_path: Path) -> None:
    clip = sounding_clip(tmp_path / "clip.mp4", seconds=4)
    out = annotate(clip, "--start", "1", "--max-frames", "50")
    start_s, pitches = heard(out)
    assert start_s == pytest.approx(0, abs=0.03)
    assert pitches[:3] == pytest.approx([880, 880, 1320], abs=8)
    assert len(pitches) <= 4


def test_sound_goes_by_the_name_of_its_codec_not_of_a_decoder(tmp_path: Path) -> None:
    clip = sounding_clip(tmp_path / "clip.mkv", codec="libmp3lame")
    assert heard(annotate(clip))[1] == pytest.approx([440, 440, 880, 880], abs=8)


def test_it_can_be_left_out(tmp_path: Path) -> None:
    assert heard(annotate(sounding_clip(tmp_path / "clip.mp4"), "--no-audio"))[1] == []


def test_sound_that_mp4_does_not_hold_is_left_out_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = sounding_clip(tmp_path / "clip.mkv", codec="pcm_s16le")
    assert heard(annotate(clip))[1] == []
    assert "pcm_s16le, which MP4 does not support" in " ".join(capsys.readouterr().err.split())


def test_pictures_are_not_searched_for_sound(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cv2.imwrite(str(tmp_path / "picture.png"), numbered_image(3))
    assert heard(annotate(tmp_path / "picture.png"))[1] == []
    assert "sound" not in capsys.readouterr().err


def test_a_fault_in_the_sound_costs_the_sound_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clip = sounding_clip(tmp_path / "clip.mp4")
    gone = tmp_path / "gone.mp4"
    with open_source(clip) as source, VideoFileSink(tmp_path / "out.mp4", sound=Sound(gone)) as sink:
        for frame in source:
            sink.write(frame.image_bgr, TrackedFrame(frame, None, Tracks.empty()))
    assert "gone.mp4 cannot be copied further" in caplog.text
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 50
