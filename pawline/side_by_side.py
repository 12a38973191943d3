"""Work through many things on all processors, in order, with few of them in memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from pawline.threads import num_threads

Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(
    work: Callable[[list[Item]], list[Result]],
    items: Iterable[Item],
    batch_size: int,
    num_workers: int | None = None,
) -> Iterator[Result]:
    """Yield the results of `work`, which gets up to `batch_size` items at a time, in the order of the items.

    num_workers: by default the number of processors. At most two batches per worker are taken ahead of the result that
    is yielded. This thread does a single batch, or all of them where 1 worker is asked for."""
    remaining = iter(items)
    if num_workers == 1:
        while batch := _batch(remaining, batch_size):
            yield from work(batch)
        return
    num_workers = num_workers or num_threads()
    first, second = _batch(remaining, batch_size), _batch(remaining, batch_size)
    if not second:
        yield from work(first) if first else []
        return
    pending: deque[Future[list[Result]]] = deque()
    with ThreadPoolExecutor(num_workers) as pool:
        try:
            pending += [pool.submit(work, first), pool.submit(work, second)]
            while pending:
                if len(pending) < 2 * num_workers and (batch := _batch(remaining, batch_size)):
                    pending.append(pool.submit(work, batch))
                    continue
                yield from pending.popleft().result()
        finally:
            for waiting in pending:  # the reader stopped, or a batch failed
                waiting.cancel()


def _batch(items: Iterator[Item], batch_size: int) -> list[Item]:
    return list(islice(items, batch_size))
