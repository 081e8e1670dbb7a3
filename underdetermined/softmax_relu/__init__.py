"""Softmax-ReLU regression: certified Newton for a softmax of a ReLU layer, its certificates and its constants."""

__all__: list[str] = []
