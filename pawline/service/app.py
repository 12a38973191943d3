"""The service: `create_app` makes it, `pawline serve` runs it.

It is a Starlette application: FastAPI's layers took time from every answer (docs/traps.md), and could not describe the
handlers, which read the body themselves."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from importlib.resources import files

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from pawline.service.answers import Answers
from pawline.service.current_model import CurrentModel
from pawline.service.description import DOCUMENT, api_page
from pawline.service.figures import CONTENT_TYPE, Figures
from pawline.service.front import Front, error_answer
from pawline.service.hosts import Hosts
from pawline.service.limits import Limits, RefusedError
from pawline.service.walks import Walks

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src blob: data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
# The walk's page says itself which script may run.
WALK_HEADERS = {"Content-Security-Policy": "frame-ancestors 'none'", "Cache-Control": "no-store"}
STATIC = {"page.js": "text/javascript", "page.css": "text/css"}
YES, NO = ("true", "1", "yes", "on"), ("false", "0", "no", "off")


def create_app(current: CurrentModel, limits: Limits, hosts: Hosts, figures: Figures, walks: Walks) -> Starlette:
    """Make the application. It watches the files of the model as long as it runs."""
    answers = Answers(current, limits, figures, walks)

    @asynccontextmanager
    async def watch(app: Starlette) -> AsyncIterator[None]:
        figures.model(current.predictor.card.model_digest)
        with ThreadPoolExecutor(1, "watch") as watcher:
            watching = asyncio.get_running_loop().run_in_executor(watcher, current.watch)
            yield
            current.stop()
            await watching
        answers.close()

    return Starlette(
        routes=[*_questions(answers), *_state(current, figures, walks), *_pages()],
        middleware=[Middleware(Front, hosts=hosts, figures=figures, limits=limits)],
        exception_handlers={HTTPException: _refuse_unknown},
        lifespan=watch,
    )


def _questions(answers: Answers) -> Iterator[Route]:
    async def predict(request: Request) -> Response:
        return JSONResponse(await answers.predict(request, _asks_for_maps(request)))

    async def explain(request: Request) -> Response:
        return HTMLResponse(await answers.explain(request), headers=WALK_HEADERS)

    yield Route("/predict", predict, methods=["POST"])
    yield Route("/explain", explain, methods=["POST"])


def _state(current: CurrentModel, figures: Figures, walks: Walks) -> Iterator[Route]:
    def readyz(request: Request) -> Response:
        predictor = current.predictor
        card = predictor.card
        no_walk = walks.missing(predictor.file, card)
        return JSONResponse({"model": card.model_digest, "class_names": card.class_names, "no_walk": no_walk})

    async def healthz(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    def metrics(request: Request) -> Response:
        return Response(figures.text(), media_type=CONTENT_TYPE)

    yield Route("/readyz", readyz)
    yield Route("/healthz", healthz)
    yield Route("/metrics", metrics)


def _pages() -> Iterator[Route]:
    yield Route("/", lambda request: _html(_own_file("page.html")))
    yield Route("/docs", lambda request: _html(api_page()))
    yield Route("/openapi.json", lambda request: JSONResponse(DOCUMENT))
    for name, kind in STATIC.items():
        yield Route(f"/{name}", partial(_static, name, kind))


def _asks_for_maps(request: Request) -> bool:
    """Whether the query asks for maps. Raises RefusedError for a value that is neither yes nor no."""
    asked = request.query_params.get("maps", "false")
    if asked.lower() not in YES + NO:
        raise RefusedError(422, f"maps: {asked[:80]!r}, expected true or false")
    return asked.lower() in YES


def _static(name: str, kind: str, request: Request) -> Response:
    return Response(_own_file(name), media_type=kind)


def _refuse_unknown(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    places = "POST /predict and /explain, GET /healthz, /readyz, /metrics, /openapi.json, /docs and /"
    lines = {404: f"no such page; there are {places}", 405: f"not this method; there are {places}"}
    return error_answer(
        error.status_code, lines.get(error.status_code, str(error.detail)), dict(error.headers or {})
    )


def _own_file(name: str) -> str:
    return files("pawline.service").joinpath(name).read_text(encoding="utf-8")


def _html(content: str) -> Response:
    return HTMLResponse(
        content, headers={"Content-Security-Policy": PAGE_POLICY, "Referrer-Policy": "same-origin"}
    )
