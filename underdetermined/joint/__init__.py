"""Training both layers of a shallow network: how it is drawn, when convergence is proved, and how lazy it was."""
