"""Measuring: latency and throughput, transformers' own loop, accuracy against a known motion."""
