"""How well camera positions of a reconstruction agree with the true ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


def path_error(found: Float, true: Float) -> float:
    """Root mean square distance after alignment, as a share of the extent of the true path.

    The alignment is the similarity with the least squares error (Umeyama, Least-squares estimation of
    transformation parameters between two point patterns, TPAMI 1991).

    Args:
        found: `(N, 3)`, positions in any frame and scale, N at least 3.
        true: `(N, 3)`, the true ones.
    """
    a, b = found - found.mean(axis=0), true - true.mean(axis=0)
    u, singular, v = np.linalg.svd(b.T @ a)
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ v))])
    rotation = (u * signs) @ v
    scale = float((singular * signs).sum() / (a**2).sum())
    gap = np.linalg.norm(b - scale * a @ rotation.T, axis=1)
    return float(np.sqrt(np.mean(gap**2)) / np.linalg.norm(np.ptp(true, axis=0)))
