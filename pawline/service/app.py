"""The service: `create_app` makes it, `pawline serve` runs it."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from importlib.resources import files
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException

from pawline.service.answers import Answers
from pawline.service.api_page import EXPLAIN_FORMS, PREDICT_FORMS, api_page
from pawline.service.current_model import CurrentModel
from pawline.service.figures import CONTENT_TYPE, Figures
from pawline.service.front import Front, error_answer
from pawline.service.hosts import Hosts
from pawline.service.limits import Limits
from pawline.service.walks import Walks

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src blob: data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
# The walk's page says itself which script may run.
WALK_HEADERS = {"Content-Security-Policy": "frame-ancestors 'none'", "Cache-Control": "no-store"}
STATIC = {"page.js": "text/javascript", "page.css": "text/css"}


def create_app(current: CurrentModel, limits: Limits, hosts: Hosts, figures: Figures, walks: Walks) -> FastAPI:
    """Make the application. It watches the files of the model as long as it runs."""
    answers = Answers(current, limits, figures, walks)

    @asynccontextmanager
    async def watch(app: FastAPI) -> AsyncIterator[None]:
        figures.model(current.predictor.card.model_digest)
        with ThreadPoolExecutor(1, "watch") as watcher:
            watching = asyncio.get_running_loop().run_in_executor(watcher, current.watch)
            yield
            current.stop()
            await watching
        answers.close()

    # FastAPI's own pages load scripts from another host.
    app = FastAPI(title="Pawline", version="1", lifespan=watch, docs_url=None, redoc_url=None)
    app.add_middleware(Front, hosts=hosts, figures=figures, limits=limits)
    app.add_exception_handler(HTTPException, _refuse_unknown)
    app.add_exception_handler(RequestValidationError, _refuse_values)

    _add_questions(app, answers)
    _add_state(app, current, figures, walks)
    _add_pages(app)
    return app


def _add_questions(app: FastAPI, answers: Answers) -> None:
    @app.post("/predict", summary="Name the class of pictures", **PREDICT_FORMS)
    async def predict(request: Request, maps: bool = False) -> Response:
        return JSONResponse(await answers.predict(request, maps))

    @app.post("/explain", summary="Walk through the network with a picture", **EXPLAIN_FORMS)
    async def explain(request: Request) -> Response:
        return HTMLResponse(await answers.explain(request), headers=WALK_HEADERS)


def _add_state(app: FastAPI, current: CurrentModel, figures: Figures, walks: Walks) -> None:
    @app.get("/readyz", summary="Whether a model answers, and which")
    def readyz() -> dict[str, Any]:
        predictor = current.predictor
        card = predictor.card
        no_walk = walks.missing(predictor.file, card)
        return {"model": card.model_digest, "class_names": card.class_names, "no_walk": no_walk}

    @app.get("/healthz", summary="Whether the process lives")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/metrics", summary="Counters for Prometheus", response_class=Response)
    def metrics() -> Response:
        return Response(figures.text(), media_type=CONTENT_TYPE)


def _add_pages(app: FastAPI) -> None:
    @app.get("/docs", include_in_schema=False)
    def docs() -> Response:
        return _html(api_page(app.openapi()))

    @app.get("/", include_in_schema=False)
    def page() -> Response:
        return _html(_own_file("page.html"))

    for name, kind in STATIC.items():
        app.add_route(f"/{name}", partial(_static, name, kind))


def _static(name: str, kind: str, request: Request) -> Response:
    return Response(_own_file(name), media_type=kind)


def _refuse_unknown(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    places = "POST /predict and /explain, GET /healthz, /readyz, /metrics, /openapi.json, /docs and /"
    lines = {404: f"no such page; there are {places}", 405: f"not this method; there are {places}"}
    return error_answer(
        error.status_code, lines.get(error.status_code, str(error.detail)), dict(error.headers or {})
    )


def _refuse_values(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    return error_answer(422, f"{'.'.join(map(str, first['loc'][1:]))}: {first['msg']}", {})


def _own_file(name: str) -> str:
    return files("pawline.service").joinpath(name).read_text(encoding="utf-8")


def _html(content: str) -> Response:
    return HTMLResponse(
        content, headers={"Content-Security-Policy": PAGE_POLICY, "Referrer-Policy": "same-origin"}
    )
