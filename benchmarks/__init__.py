"""Benchmarks of the running gateway: `python -m benchmarks`."""
