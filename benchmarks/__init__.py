"""Benchmarks that need a particular machine; see docs/accuracy.md and docs/benchmark.md."""
