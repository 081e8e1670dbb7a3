"""Hidden values that can be chosen freely: exact fits, the convex problem, and the shortest parameters."""
