"""Pictures of several requests, predicted together: the engine takes a quarter less time for each of eight pictures."""

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from pawline.pictures.decode import BadImage, read_header
from pawline.predict import Prediction, Predictor

MOST = 8  # pictures; more are no faster, and the first of them would wait longer
LARGE_PIXELS = 4_000_000  # a JPEG counts a quarter, since the decoder reduces it while it reads

Answer = Prediction | Exception | None


@dataclass(frozen=True)
class _Waiting:
    predictor: Predictor
    picture: bytes
    answer: asyncio.Future[Prediction | None]


class Batches:
    """Takes what waits at the moment when a thread is free, so that no picture waits for others to come."""

    def __init__(self, pool: ThreadPoolExecutor, num_threads: int) -> None:
        self._pool, self._num_threads = pool, num_threads
        self._waiting: deque[_Waiting] = deque()

    async def predict(self, predictor: Predictor, picture: bytes) -> Prediction | None:
        """The prediction; None for a large picture, which must not be decoded beside others."""
        loop = asyncio.get_running_loop()
        mine = _Waiting(predictor, picture, loop.create_future())
        self._waiting.append(mine)
        self._pool.submit(self._work, loop)
        return await mine.answer

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        """Answer a fair part of what waits; nothing, where another thread has taken it."""
        taken = self._take()
        answers = _answers(taken)
        loop.call_soon_threadsafe(_hand_over, taken, answers)

    def _take(self) -> list[_Waiting]:
        taken = list[_Waiting]()
        most = min(MOST, -(-len(self._waiting) // self._num_threads))
        while len(taken) < most:
            try:
                one = self._waiting.popleft()
            except IndexError:  # another thread was faster
                break
            if taken and one.predictor is not taken[0].predictor:  # a new model came between them
                self._waiting.appendleft(one)
                break
            if not one.answer.done():  # else nobody waits for it any more
                taken.append(one)
        return taken


def _answers(taken: list[_Waiting]) -> list[Answer]:
    small = [one for one in taken if not is_large(one.picture)]
    try:
        found = iter(_predicted(small))
    except Exception:  # a bug, or no memory: ask for each alone, so that it fails alone
        found = iter([_predicted_alone(one) for one in small])
    answers = {id(one): next(found) for one in small}
    return [answers.get(id(one)) for one in taken]


def _predicted(batch: list[_Waiting]) -> list[Answer]:
    return list(batch[0].predictor.predict([one.picture for one in batch])) if batch else []


def _predicted_alone(one: _Waiting) -> Answer:
    try:
        return _predicted([one])[0]
    except Exception as error:
        return error.with_traceback(None)


def _hand_over(taken: list[_Waiting], answers: list[Answer]) -> None:
    for one, answer in zip(taken, answers, strict=True):
        if one.answer.done():
            continue
        if isinstance(answer, Exception):
            one.answer.set_exception(answer)
        else:
            one.answer.set_result(answer)


def is_large(picture: bytes) -> bool:
    try:
        header = read_header(picture)
    except BadImage:
        return False
    return header.width * header.height > LARGE_PIXELS * (4 if header.format == "JPEG" else 1)
