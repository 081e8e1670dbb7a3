"""Hidden features of a random layer, ``A = scale * sigma(X W + b)``: as an array, in tiles, or as an operator."""

from underdetermined.features._map import FeatureMap
from underdetermined.features._operator import FeatureOperator

__all__ = ["FeatureMap", "FeatureOperator"]
