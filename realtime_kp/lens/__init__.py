"""Lenses: how a camera maps directions to pixels, and the files that say so."""

from realtime_kp.lens.distortion import LensModel
from realtime_kp.lens.files import LensFile, lens_text, open_lens_file, read_lens
from realtime_kp.lens.model import Lens
from realtime_kp.lens.straight_view import StraightView

__all__ = ["Lens", "LensFile", "LensModel", "StraightView", "lens_text", "open_lens_file", "read_lens"]
