"""Accuracy: tracks against a known motion and on real video, features on pairs of images."""
