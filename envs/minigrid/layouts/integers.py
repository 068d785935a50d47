"""Random integers, one at a time, for layouts that draw by the hundred.

    n = high - low,  m = n u  (u: 32 random bits)     the result is low + m // 2^32,
    drawn anew while m mod 2^32 < 2^32 mod n, so that all n results are equally likely

Lemire, 2019, Fast random integer generation in an interval: what `Generator.integers` does with
the same bits, without the cost of looking at its arguments.
"""

from collections.abc import Callable

import numpy as np


def integer_source(rng: np.random.Generator) -> Callable[[int, int], int]:
    """(low, high) → `int(rng.integers(low, high))`, for high - low from 1 to 2^32 - 1.

    Both may be called in turns. The generator has to outlive the source.
    """
    interface = rng.bit_generator.ctypes
    next_uint32, state = interface.next_uint32, interface.state_address

    def integer(low: int, high: int) -> int:
        n = high - low
        if n == 1:
            return low
        product = next_uint32(state) * n
        if product & 0xFFFFFFFF < n:
            uneven = 0x100000000 % n
            while product & 0xFFFFFFFF < uneven:
                product = next_uint32(state) * n
        return low + (product >> 32)

    return integer
