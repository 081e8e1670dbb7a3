"""asv benchmarks; each file also defines the contenders that `benchmarks.compare` runs side by side."""
