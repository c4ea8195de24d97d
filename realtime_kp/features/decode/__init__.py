"""Decoding: from the outputs of both heads to keypoints, in torch for GPUs and in NumPy for CPUs."""
