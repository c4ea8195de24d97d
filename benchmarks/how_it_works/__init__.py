"""Drawings of what the tracker does, made from recorded runs: a module each, for `benchmarks.pictures`."""
