"""The service: `create_app` makes it, `pawline serve` runs it."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from importlib.resources import files
from typing import Any

import cv2
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from pawline.predict import Prediction, Predictor
from pawline.service.api_page import API_FORMS, api_page
from pawline.service.body import Bodies
from pawline.service.current_model import CurrentModel
from pawline.service.figures import CONTENT_TYPE, Figures
from pawline.service.hosts import Hosts
from pawline.service.limits import Limits, RefusedError
from pawline.threads import num_threads

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src blob: data:; connect-src 'self'; "
    "form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)
STATIC = {"page.js": "text/javascript", "page.css": "text/css"}


def create_app(current: CurrentModel, limits: Limits, hosts: Hosts, figures: Figures) -> FastAPI:
    """Make the application. It watches the files of the model as long as it runs."""
    answers = _Answers(current, limits, figures)

    @asynccontextmanager
    async def watch(app: FastAPI) -> AsyncIterator[None]:
        figures.model(current.predictor.card.model_digest)
        watching = asyncio.get_running_loop().run_in_executor(answers.watcher, current.watch)
        yield
        current.stop()
        await watching
        answers.close()

    # FastAPI's own pages load scripts from another host.
    app = FastAPI(title="Pawline", version="1", lifespan=watch, docs_url=None, redoc_url=None)
    app.add_middleware(_Front, hosts=hosts, figures=figures)
    app.add_exception_handler(HTTPException, _refuse_unknown)
    app.add_exception_handler(RequestValidationError, _refuse_values)

    @app.post("/predict", summary="Name the class of pictures", **API_FORMS)
    async def predict(request: Request, maps: bool = False) -> Response:
        return JSONResponse(await answers.answer(request, maps))

    @app.get("/healthz", summary="Whether the process lives")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", summary="Whether a model answers, and which")
    def readyz() -> dict[str, Any]:
        card = current.predictor.card
        return {"model": card.model_digest, "class_names": card.class_names}

    @app.get("/metrics", summary="Counters for Prometheus", response_class=Response)
    def metrics() -> Response:
        return Response(figures.text(), media_type=CONTENT_TYPE)

    @app.get("/docs", include_in_schema=False)
    def docs() -> Response:
        return _html(api_page(app.openapi()))

    @app.get("/", include_in_schema=False)
    def page() -> Response:
        return _html(_own_file("page.html"))

    for name, kind in STATIC.items():
        app.add_route(f"/{name}", partial(_static, name, kind))

    return app


def _static(name: str, kind: str, request: Request) -> Response:
    return Response(_own_file(name), media_type=kind)


class _Answers:
    """Answers requests on one thread per processor; all others wait in a queue of bounded length."""

    def __init__(self, current: CurrentModel, limits: Limits, figures: Figures) -> None:
        self._current, self._limits, self._figures = current, limits, figures
        self._bodies = Bodies(limits)
        self._pool = ThreadPoolExecutor(num_threads(), "answer")
        self.watcher = ThreadPoolExecutor(1, "watch")
        self._num_requests = 0

    async def answer(self, request: Request, maps: bool) -> dict[str, Any]:
        """The content of an answer. Raises RefusedError."""
        if self._num_requests >= self._limits.max_requests:
            raise RefusedError(429, f"{self._num_requests} requests are at work or wait: try again", retry_after=1)
        self._num_requests += 1
        self._figures.at_work.inc()
        try:
            async with self._bodies.pictures(request) as pictures:
                return await self._predict(pictures, maps)
        finally:
            self._num_requests -= 1
            self._figures.at_work.dec()

    async def _predict(self, pictures: list[bytes], maps: bool) -> dict[str, Any]:
        predictor = self._current.predictor  # one model for all pictures of a request
        work = partial(_predict_one, predictor, maps)
        running = [asyncio.get_running_loop().run_in_executor(self._pool, work, picture) for picture in pictures]
        try:
            async with asyncio.timeout(self._limits.answer_seconds):
                predictions = await asyncio.gather(*running)
        except TimeoutError:
            for waiting in running:
                waiting.cancel()
            raise RefusedError(
                504, f"no answer within {self._limits.answer_seconds:g} s: send fewer pictures"
            ) from None
        for prediction, _ in predictions:
            self._figures.picture(prediction)
        if len(predictions) == 1 and predictions[0][0].error is not None:
            raise RefusedError(422, f"the picture cannot be read: {predictions[0][0].error}")
        return {
            "model": predictor.card.model_digest,
            "predictions": [_as_json(prediction) | shown for prediction, shown in predictions],
        }

    def close(self) -> None:
        self._pool.shutdown()
        self.watcher.shutdown()


def _predict_one(predictor: Predictor, maps: bool, picture: bytes) -> tuple[Prediction, dict[str, Any]]:
    """(prediction, what is shown beside it): with `maps` the picture as the network sees it, and where it looks."""
    if not maps:
        [prediction] = predictor.predict([picture])
        return prediction, {}
    prediction, seen = predictor.explain(picture)
    if seen is None:
        return prediction, {}
    pixels = seen.pixels[:, :, ::-1] if seen.pixels.shape[2] == 3 else seen.pixels
    png = cv2.imencode(".png", pixels)[1].tobytes()
    return prediction, {
        "seen": f"data:image/png;base64,{base64.b64encode(png).decode()}",
        "map": {"kind": seen.kind, "values": seen.heat.round(5).tolist()},
    }


def _as_json(prediction: Prediction) -> dict[str, Any]:
    if prediction.error is not None:
        return {"label": None, "probabilities": None, "error": prediction.error}
    return {
        "label": prediction.label,
        "probabilities": prediction.probabilities,
        "unsure": prediction.unsure,
    }


class _Front:
    """What stands before every handler: who may ask, what is counted, and one line for each refusal."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Any], hosts: Hosts, figures: Figures) -> None:
        self._app, self._hosts, self._figures = app, hosts, figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request, started, status = Request(scope), time.perf_counter(), 500

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            self._hosts.check(request.headers)
            await self._app(scope, receive, send_and_note)
        except RefusedError as refused:
            headers = {"Retry-After": str(refused.retry_after)} if refused.retry_after else {}
            await _error(refused.status, str(refused), headers)(scope, receive, send_and_note)
        finally:
            route = scope.get("route")
            self._figures.request(getattr(route, "path", "other"), status, time.perf_counter() - started)


def _refuse_unknown(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    places = "POST /predict, GET /healthz, /readyz, /metrics, /openapi.json, /docs and /"
    lines = {404: f"no such page; there are {places}", 405: f"not this method; there are {places}"}
    return _error(error.status_code, lines.get(error.status_code, str(error.detail)), dict(error.headers or {}))


def _refuse_values(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return _error(422, f"{'.'.join(map(str, first['loc'][1:]))}: {first['msg']}", {})


def _error(status: int, line: str, headers: dict[str, str]) -> Response:
    return JSONResponse({"error": line}, status, headers)


def _own_file(name: str) -> str:
    return files("pawline.service").joinpath(name).read_text(encoding="utf-8")


def _html(content: str) -> Response:
    return HTMLResponse(
        content, headers={"Content-Security-Policy": PAGE_POLICY, "Referrer-Policy": "no-referrer"}
    )
