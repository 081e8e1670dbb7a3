"""Speed: asv benchmarks in `benchmarks.benchmarks`, and side-by-side ratios by ``python -m benchmarks.compare``."""
