"""The answers to requests: decoded and predicted on one thread per processor."""

import asyncio
import base64
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import cv2
from starlette.requests import Request

from pawline.errors import ModelError
from pawline.pictures.decode import BadImage
from pawline.predict import Prediction, Predictor
from pawline.service.batches import Batches, is_large
from pawline.service.body import Bodies
from pawline.service.current_model import CurrentModel
from pawline.service.figures import Figures
from pawline.service.limits import Limits, RefusedError
from pawline.service.walks import Walks
from pawline.threads import num_threads

Result = TypeVar("Result")
Shown = tuple[Prediction, dict[str, Any]]


class Answers:
    """Asks the model of the moment. Large pictures wait for each other, so that their memory does not add up."""

    def __init__(self, current: CurrentModel, limits: Limits, figures: Figures, walks: Walks) -> None:
        self._current, self._limits, self._figures, self._walks = current, limits, figures, walks
        self._bodies = Bodies(limits)
        self._pool = ThreadPoolExecutor(num_threads(), "answer")
        self._batches = Batches(self._pool, num_threads())
        self._large = ThreadPoolExecutor(1, "large")

    async def predict(self, request: Request, maps: bool) -> dict[str, Any]:
        """The content of an answer. Raises RefusedError."""
        predictor = self._current.predictor  # one model for all pictures of a request
        async with self._bodies.pictures(request) as pictures:
            predictions = await self._in_time([self._predict_one(predictor, maps, one) for one in pictures])
        for prediction, _ in predictions:
            self._figures.picture(prediction)
        if len(predictions) == 1:
            _refuse_unreadable(predictions[0][0])
        return {
            "model": predictor.card.model_digest,
            "predictions": [_as_json(prediction) | shown for prediction, shown in predictions],
        }

    async def explain(self, request: Request) -> str:
        """The page that walks through the network with a picture. Raises RefusedError."""
        predictor = self._current.predictor
        if why := self._walks.missing(predictor.file, predictor.card):
            raise RefusedError(404, why)
        async with self._bodies.pictures(request) as pictures:
            if len(pictures) != 1:
                raise RefusedError(422, f"{len(pictures)} pictures, expected one: the page is about one picture")
            pages = await self._in_time([self._walk_of(predictor, pictures[0])])
        return pages[0]

    def close(self) -> None:
        for pool in (self._pool, self._large):
            pool.shutdown()

    async def _predict_one(self, predictor: Predictor, maps: bool, picture: bytes) -> Shown:
        if maps:
            found = await self._run(self._pool, partial(_with_map, predictor, picture, large=False))
            if found is None:
                found = await self._run(self._large, partial(_with_map, predictor, picture, large=True))
            assert found is not None
            return found
        prediction = await self._batches.predict(predictor, picture)
        if prediction is None:
            [prediction] = await self._run(self._large, lambda: list(predictor.predict([picture])))
        return prediction, {}

    async def _walk_of(self, predictor: Predictor, picture: bytes) -> str:
        prediction, _ = await self._predict_one(predictor, False, picture)
        _refuse_unreadable(prediction)
        work = partial(self._walks.page, predictor.file, predictor.card, picture, prediction.probabilities or {})
        try:
            return await self._run(self._large, work)
        except ModelError as error:
            raise RefusedError(404, f"no walk through the network: {error}") from None
        except BadImage as bad:
            raise RefusedError(422, f"the picture cannot be read: {bad}") from None

    async def _run(self, pool: ThreadPoolExecutor, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(pool, work)

    async def _in_time(self, works: list[Coroutine[Any, Any, Result]]) -> list[Result]:
        try:
            async with asyncio.timeout(self._limits.answer_seconds):
                return await asyncio.gather(*works)
        except TimeoutError:  # those that wait are cancelled
            seconds = self._limits.answer_seconds
            raise RefusedError(504, f"no answer within {seconds:g} s: send fewer pictures") from None


def _with_map(predictor: Predictor, picture: bytes, large: bool) -> Shown | None:
    """(prediction, what is shown beside it): the picture as the network sees it, and where it finds the class.

    large: whether this thread may decode a large picture; None for one that it may not."""
    if not large and is_large(picture):
        return None
    prediction, seen = predictor.predict_with_map(picture)
    if seen is None:
        return prediction, {}
    pixels = seen.pixels[:, :, ::-1] if seen.pixels.shape[2] == 3 else seen.pixels
    png = cv2.imencode(".png", pixels)[1].tobytes()
    return prediction, {
        "seen": f"data:image/png;base64,{base64.b64encode(png).decode()}",
        "map": {"kind": seen.kind, "values": seen.heat.round(5).tolist()},
    }


def _refuse_unreadable(prediction: Prediction) -> None:
    if prediction.error is not None:
        raise RefusedError(422, f"the picture cannot be read: {prediction.error}")


def _as_json(prediction: Prediction) -> dict[str, Any]:
    if prediction.error is not None:
        return {"label": None, "probabilities": None, "error": prediction.error}
    return {
        "label": prediction.label,
        "probabilities": prediction.probabilities,
        "unsure": prediction.unsure,
    }
