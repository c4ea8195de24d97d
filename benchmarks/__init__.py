"""Benchmarks that need a particular machine; see the README."""
