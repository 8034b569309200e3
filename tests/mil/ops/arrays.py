"""Inputs for operator tests."""

import numpy as np
from hypothesis import strategies as st


def values(seed: int, *shape: int, scale: float = 3.0) -> np.ndarray:
    """Normally distributed float32."""
    return (np.random.default_rng(seed).standard_normal(shape) * scale).astype(np.float32)


def whole(seed: int, low: int, high: int, *shape: int) -> np.ndarray:
    """int32 from low to high - 1."""
    return np.random.default_rng(seed).integers(low, high, shape).astype(np.int32)


#: Seeds of inputs; hypothesis varies the parameters, the values follow from these.
seeds = st.integers(0, 2**16)


def shapes(least: int = 1, most: int = 5, longest: int = 5) -> st.SearchStrategy[tuple[int, ...]]:
    """Shapes of rank ``least`` to ``most``."""
    return st.lists(st.integers(1, longest), min_size=least, max_size=most).map(tuple)
