"""The lens of the settings, at the size of the frames."""

from __future__ import annotations

import logging
from dataclasses import replace

from realtime_kp.config import InputConfig
from realtime_kp.errors import ConfigError
from realtime_kp.frame import Frame
from realtime_kp.lens import Lens, LensFile, open_lens_file

log = logging.getLogger(__name__)


class KnownLens:
    """Gives frames their lens, scaled to their size.

    Frames that change their aspect while a source runs go on without a lens, which is said.

    Args:
        file: The lens.
    """

    def __init__(self, file: LensFile) -> None:
        self._file = file
        self._lens: Lens | None = None
        self._size_wh: tuple[int, int] | None = None

    @classmethod
    def of(cls, config: InputConfig) -> KnownLens | None:
        """The lens that the settings name; None where they name none.

        Raises:
            ConfigError: Its file cannot be read.
        """
        return None if config.camera is None else cls(open_lens_file(config.camera, config.camera_name))

    def on(self, frame: Frame) -> Frame:
        """The frame with its lens.

        Raises:
            ConfigError: The lens does not fit the first frame.
        """
        if frame.size_wh != self._size_wh:
            first, self._size_wh = self._size_wh is None, frame.size_wh
            self._lens = self._of_size(frame.size_wh, first)
        return replace(frame, lens=self._lens)

    def _of_size(self, size_wh: tuple[int, int], first: bool) -> Lens | None:
        try:
            lens = self._file.of_size(size_wh)
        except ConfigError as exc:
            if first:
                raise
            log.warning("%s: these frames go on without a lens", exc)
            return None
        width, height = size_wh
        if not self._file.tells_size:
            log.info("%s tells no picture size: taken to be for %dx%d", self._file.path.name, width, height)
            self._file = LensFile(self._file.path, lens, tells_size=True)
        elif lens is not self._file.lens and first:
            had = "x".join(map(str, self._file.lens.size_wh))
            log.info("%s for %s is scaled to %dx%d", self._file.path.name, had, width, height)
        return lens
