from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.pictures import main

DRAWINGS = ("how-prediction", "how-alignment", "how-association", "how-return")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_all_pictures_are_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--out", str(tmp_path), "--frames", "32"])
    assert {path.name for path in tmp_path.iterdir()} == {
        "tracks.webp",
        *(f"{name}.png" for name in DRAWINGS),
    }
    assert len(capsys.readouterr().out.split("kB")) == 6
    moving = tmp_path / "tracks.webp"
    assert moving.stat().st_size < 4e6
    with Image.open(moving) as animation:
        assert animation.format == "WEBP"
        assert animation.size == (840, 315)
        assert animation.n_frames == 32
        first = np.asarray(animation.convert("RGB"), np.float32)
        animation.seek(31)
        assert np.abs(np.asarray(animation.convert("RGB"), np.float32) - first).mean() > 3

    for name in DRAWINGS:
        path = tmp_path / f"{name}.png"
        assert path.stat().st_size < 300_000
        with Image.open(path) as drawing:
            assert drawing.size == (900, 360)
            assert len(drawing.convert("RGB").getcolors(1 << 20)) > 50
