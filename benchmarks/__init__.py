"""Timings, by ``python -m benchmarks [NAME …]``. Nothing here is a test: a slow machine is no fault."""
