"""Benchmarks: ours beside its peers and beside its own limits, in one run. See README.md."""
