"""Video of high dynamic range (PQ, HLG) as standard BT.709, through a look-up table.

Sources: PQ, SMPTE ST 2084; HLG with its OOTF for a display of 1000 cd/m², ITU-R BT.2100-2; diffuse white at
203 cd/m², ITU-R BT.2408; primaries, ITU-R BT.2087; the curve that rolls highlights off is the Möbius one of
FFmpeg's `tonemap`; standard codes, ITU-R BT.709.
"""

from __future__ import annotations

import numpy as np
from av.filter import Graph
from av.filter.context import FilterContext
from av.video.frame import VideoFrame
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

PQ, HLG = 16, 18  # FFmpeg's AVCOL_TRC_SMPTE2084 and AVCOL_TRC_ARIB_STD_B67
WIDE = 9  # FFmpeg's AVCOL_SPC_BT2020_NCL
_LEVEL = 6  # of the Hald look-up table: 36 steps a channel

_WHITE_NITS, _PEAK_NITS = 203.0, 1000.0
_KNEE = 0.8  # share of diffuse white up to which nothing changes
_TO_BT709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])
_LUMINANCE = np.array([0.2627, 0.6780, 0.0593])


class ToneMapper:
    """Converts frames of one transfer characteristic; FFmpeg's filter is set up with the first one.

    Args:
        transfer: `PQ` or `HLG`.

    Attributes:
        FORMAT: Pixel format of the frames before and after.
    """

    FORMAT = "rgb48le"

    def __init__(self, transfer: int) -> None:
        self.transfer = transfer
        self._graph: Graph | None = None
        self._begin: FilterContext | None = None
        self._made_for: tuple[object, ...] = ()

    def to_standard(self, rgb: VideoFrame) -> VideoFrame:
        """Map a frame in `FORMAT`, full range, with BT.2020 primaries, to BT.709."""
        kind = (rgb.width, rgb.height, rgb.time_base)
        if self._graph is None or self._begin is None or kind != self._made_for:
            self._graph, self._begin = _new_graph(rgb, hald_table(self.transfer))
            self._made_for = kind
        self._begin.push(rgb)
        mapped = self._graph.pull()
        assert isinstance(mapped, VideoFrame)
        return mapped


def hald_table(transfer: int) -> NDArray[np.uint16]:
    """`(216, 216, 3) uint16`: the mapping of all colours as a Hald image, red changing fastest."""
    steps = _LEVEL * _LEVEL
    blue, green, red = np.meshgrid(*3 * [np.arange(steps) / (steps - 1)], indexing="ij")
    codes = np.stack([red, green, blue], axis=-1).reshape(-1, 3)
    return np.round(standard_codes(codes, transfer) * 65535).astype(np.uint16).reshape(_LEVEL**3, -1, 3)


def standard_codes(codes: Float64, transfer: int) -> Float64:
    """Map colours of high dynamic range to standard ones.

    Args:
        codes: `(N, 3)`, red, green, blue in BT.2020, 0 to 1, as coded.
        transfer: `PQ` or `HLG`.

    Returns:
        `(N, 3)`, red, green, blue in BT.709, 0 to 1, as coded.
    """
    nits = _pq_nits(codes) if transfer == PQ else _hlg_nits(codes)
    light = np.maximum(nits / _WHITE_NITS @ _TO_BT709.T, 0)
    strongest = np.maximum(light.max(axis=1, keepdims=True), 1e-6)
    # By the strongest channel, so that hues stay.
    mapped = np.clip(light * (_rolled_off(strongest) / strongest), 0, 1)
    coded: Float64 = np.where(mapped < 0.018, 4.5 * mapped, 1.099 * mapped**0.45 - 0.099)
    return coded


def _pq_nits(codes: Float64) -> Float64:
    root = codes ** (1 / 78.84375)
    share = np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)
    return np.asarray(10_000 * share ** (1 / 0.1593017578125))


def _hlg_nits(codes: Float64) -> Float64:
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(codes <= 0.5, codes**2 / 3, (np.exp((codes - c) / a) + b) / 12)
    luminance = np.maximum(scene @ _LUMINANCE, 1e-6)[:, None]
    return np.asarray(_PEAK_NITS * luminance**0.2 * scene)


def _rolled_off(light: Float64) -> Float64:
    """Light relative to diffuse white, unchanged up to the knee, 1 at the peak and above."""
    peak, j = _PEAK_NITS / _WHITE_NITS, _KNEE
    a = -j * j * (peak - 1) / (j * j - 2 * j + peak)
    b = (j * j - 2 * j * peak + peak) / (peak - 1)
    curved = (b * b + 2 * b * j + j * j) / (b - a) * (light + a) / (light + b)
    return np.where(light <= j, light, np.minimum(curved, 1.0))


def _new_graph(rgb: VideoFrame, hald: NDArray[np.uint16]) -> tuple[Graph, FilterContext]:
    """The filter that maps frames like this one, and where they are pushed."""
    table = VideoFrame.from_ndarray(hald, format="rgb48le").reformat(format=ToneMapper.FORMAT)
    table.pts, table.time_base = 0, rgb.time_base
    graph = Graph()
    begin, look_up = (
        graph.add_buffer(width=f.width, height=f.height, format=f.format, time_base=rgb.time_base)
        for f in (rgb, table)
    )
    mapping, end = graph.add("haldclut", "clut=first"), graph.add("buffersink")
    begin.link_to(mapping, 0, 0)
    look_up.link_to(mapping, 0, 1)
    mapping.link_to(end)
    graph.configure()
    look_up.push(table)
    look_up.push(None)
    return graph, begin
