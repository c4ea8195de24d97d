"""A reference picture, such as a poster or a book cover, found in the frames and followed through them."""

from realtime_kp.reference.finder import ReferenceFinder
from realtime_kp.reference.picture import ReferencePicture
from realtime_kp.reference.views import DescribedReference, describe

__all__ = ["DescribedReference", "ReferenceFinder", "ReferencePicture", "describe"]
