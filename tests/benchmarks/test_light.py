from __future__ import annotations

import numpy as np
import pytest

from benchmarks.light import LIGHTS, LitScene, follow, measure
from realtime_kp.features import SuperPoint
from realtime_kp.sources import DemoSpec

SPEC = DemoSpec(size_wh=(320, 240))


def test_each_light_changes_the_picture_and_the_lamp_goes_on() -> None:
    scene = SPEC.scene()
    pictures = {name: LitScene(scene, light, 30).render(20).astype(int) for name, light in LIGHTS.items()}
    for name, picture in pictures.items():
        assert (np.abs(picture - pictures["ordinary"]).mean() > 8) == (name != "ordinary")
    before = LitScene(scene, LIGHTS["a lamp goes on"], 30).render(5)
    assert pictures["a lamp goes on"].mean() > 3 * before.mean()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_in_the_dark_equalised_pictures_hold_more_tracks() -> None:
    with SuperPoint(model="small", resize="320") as superpoint:
        scene = LitScene(SPEC.scene(), LIGHTS["a lamp goes on"], 24)
        plain, equalised = (follow(scene, superpoint, equalised=on) for on in (False, True))
        found = measure([SPEC], superpoint, 6)
    assert equalised.correct_per_frame > 1.5 * plain.correct_per_frame
    assert set(found) == {(name, on) for name in LIGHTS for on in (False, True)}
