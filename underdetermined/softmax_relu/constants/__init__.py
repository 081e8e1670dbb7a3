"""Constants of Newton's method: signs, bounds, Lipschitz constants and basins."""
