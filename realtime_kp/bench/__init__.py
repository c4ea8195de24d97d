"""Measuring: latency and throughput, comparison with transformers' own loop, accuracy against a known motion."""
