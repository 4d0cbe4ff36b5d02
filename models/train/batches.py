"""Batches of rows of like length, so that little of a batch is padding."""

import random
from collections.abc import Sequence


def length_batches(
    rows: Sequence[Sequence[int]], size: int, order: random.Random, drawn: Sequence[int] | None = None
) -> list[list[int]]:
    """Returns batches of rows of like length, each batch and all of them in random order.

    `drawn` has the rows to take, in random order; without it all are taken.
    """
    shuffled = order.sample(range(len(rows)), len(rows)) if drawn is None else list(drawn)
    pool_size = 50 * size
    pools = [shuffled[at : at + pool_size] for at in range(0, len(shuffled), pool_size)]
    pools = [sorted(pool, key=lambda row: len(rows[row])) for pool in pools]
    batches = [pool[at : at + size] for pool in pools for at in range(0, len(pool), size)]
    for batch in batches:
        order.shuffle(batch)
    order.shuffle(batches)
    return batches
