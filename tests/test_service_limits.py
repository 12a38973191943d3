"""The service with short limits, in this process: slow and silent clients, foreign models, failures, and the walk."""

import argparse
import asyncio
import gc
import http.client
import json
import logging
import socket
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pawline.card import Card, write_card
from pawline.cli.serve import add_command
from pawline.export import keep_for_walks
from pawline.predict import Prediction, Predictor
from pawline.service.app import create_app
from pawline.service.batches import LARGE_PIXELS, Batches, is_large
from pawline.service.connection import Connection
from pawline.service.current_model import CurrentModel
from pawline.service.figures import Figures
from pawline.service.front import Front
from pawline.service.hosts import Hosts
from pawline.service.limits import MEGABYTE, Limits
from pawline.service.walks import Walks
from pawline.walk.network import Network, Node, save_network, unknown_layer
from tests.cards import CONDITIONS
from tests.service_here import service_here
from tests.test_runtime import SIDE, write_brightness
from tests.test_service import BRIGHT, picture

LIMITS = Limits(
    max_body=MEGABYTE, max_pictures=3, max_megapixels=6, max_connections=6, head_seconds=0.2, send_seconds=0.5
)
FORM = {"Content-Type": "multipart/form-data; boundary=b"}
PNG = {"Content-Type": "image/png"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A service with these limits: its place, and the folder of its model."""
    folder = tmp_path_factory.mktemp("limits")
    with service_here(write_brightness(folder), LIMITS, folder) as place:
        yield SimpleNamespace(place=place, folder=folder)


def ask(
    served: Any, body: bytes, headers: dict[str, str], path: str = "/predict", method: str = "POST"
) -> tuple[int, str]:
    """(status, line of the refusal or the whole content)."""
    connection = http.client.HTTPConnection(*served.place, timeout=20)
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    content = response.read().decode()
    connection.close()
    return response.status, json.loads(content)["error"] if response.status >= 400 else content


def raw(served: Any, content: bytes) -> tuple[str, str]:
    """(status line, body) of what the service sends until it closes."""
    with socket.create_connection(served.place, timeout=20) as connection:
        connection.sendall(content)
        answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    return answer.partition("\r\n")[0], answer.partition("\r\n\r\n")[2]


def part(name: str, content: bytes) -> bytes:
    head = f'--b\r\nContent-Disposition: form-data; name="picture"{name}\r\n\r\n'
    return head.encode() + content + b"\r\n"


@pytest.mark.parametrize(
    "begun", [b"", b"POST /predict HTT", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET"]
)
def test_a_client_that_does_not_finish_its_question_is_hung_up_on(served: Any, begun: bytes) -> None:
    started = time.monotonic()
    with socket.create_connection(served.place, timeout=20) as connection:
        connection.sendall(begun)
        try:
            while connection.recv(65536):
                pass
        except ConnectionResetError:
            pass
    assert time.monotonic() - started < 10


def test_a_client_that_does_not_take_its_answer_is_hung_up_on() -> None:
    ended: list[bool] = []
    transport = SimpleNamespace(get_write_buffer_size=lambda: 100, abort=lambda: ended.append(True))
    loop = SimpleNamespace(call_later=lambda *_: None)
    cycle = SimpleNamespace(response_complete=False)
    connection: Any = SimpleNamespace(transport=transport, cycle=cycle, loop=loop, limits=LIMITS)
    connection._before, connection._is_refused = None, False
    connection._look = lambda: None
    Connection._look(connection)
    assert not ended, "the answer may have begun a moment ago"
    Connection._look(connection)
    assert ended
    transport.get_write_buffer_size = lambda: 0
    ended.clear()
    for _ in range(3):
        Connection._look(connection)
    assert not ended, "the service itself is at work on the answer"


def test_a_body_that_arrives_too_slowly_is_refused(served: Any) -> None:
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: 9\r\n"
    with socket.create_connection(served.place, timeout=20) as connection:
        connection.sendall(head + b"\r\nx")
        assert b"408" in connection.recv(65536)


def test_more_connections_than_allowed_are_refused_in_one_line(served: Any) -> None:
    idle = [socket.create_connection(served.place, timeout=20) for _ in range(6)]
    status, body = raw(served, b"")
    assert (status, json.loads(body)) == (
        "HTTP/1.1 503 Service Unavailable",
        {"error": "6 are connected: try again"},
    )
    for connection in idle:
        connection.close()


CHUNKED = (
    b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n"
)
TWO_LENGTHS = b"POST /predict HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    "content",
    [
        b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"y" * MEGABYTE,
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 2**15 + b"\r\n",
        TWO_LENGTHS,
        CHUNKED + b"no length of a chunk\r\n",
        CHUNKED + b"0\r\n" + b"X: y\r\n" * 2**17,
    ],
    ids=["TLS", "endless line", "many lines", "two lengths", "broken chunk", "endless trailer"],
)
def test_what_is_no_http_is_refused_in_one_line(served: Any, content: bytes) -> None:
    status, body = raw(served, content)
    assert status == "HTTP/1.1 400 Bad Request"
    assert json.loads(body)["error"].startswith("this is no HTTP request")


def test_a_request_with_a_damaged_body_waits_for_no_more_and_the_log_says_nothing(
    served: Any, caplog: pytest.LogCaptureFixture
) -> None:
    logger = logging.getLogger("uvicorn.error")
    logger.addHandler(caplog.handler)
    try:
        with socket.create_connection(served.place, timeout=20) as connection:
            connection.sendall(CHUNKED + b"no length of a chunk\r\n")
            answer = connection.recv(65536)
            assert answer.startswith(b"HTTP/1.1 400 Bad Request")
            assert answer.endswith(b'{"error": "this is no HTTP request: its body is damaged"}')
            while "pawline_requests_at_work 0.0" not in ask(served, b"", {}, "/metrics", "GET")[1]:
                time.sleep(0.01)
    finally:
        logger.removeHandler(caplog.handler)
    assert not caplog.records


def test_a_newline_behind_the_path_opens_no_way_around_the_limits() -> None:
    front = Front(lambda *_: pytest.fail("let in"), Hosts([]), Figures(), Limits(max_requests=0))
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "path": "/predict\n", "headers": [(b"host", b"localhost")]}
    asyncio.run(front(scope, receive, send))
    assert sent[0]["status"] == 429


@pytest.mark.parametrize("how", ["keep-alive", "close"])
def test_a_client_reads_why_its_upload_is_too_large_after_it_has_sent_it(served: Any, how: str) -> None:
    status, line = ask(served, bytes(8 * MEGABYTE), {**PNG, "Connection": how})
    assert (status, line) == (413, "a request may have 1 MB: send fewer, smaller pictures")


def test_many_parts_packed_bodies_and_cut_forms_are_refused(served: Any) -> None:
    fields = b"".join(part("", b"x") for _ in range(5000)) + b"--b--\r\n"
    assert ask(served, fields, FORM)[0] == 400
    files = b"".join(part('; filename="x"', b"x") for _ in range(5000)) + b"--b--\r\n"
    assert ask(served, files, FORM) == (413, "a request may have 3 pictures: send fewer at once")
    status, line = ask(served, b"\x1f\x8b\x08" + bytes(99), {**PNG, "Content-Encoding": "gzip"})
    assert status == 422 and line.startswith("the picture cannot be read: not_an_image")
    assert ask(served, part('; filename="x"', picture(BRIGHT))[:-30], FORM)[0] == 422


def test_large_pictures_wait_for_each_other_and_too_large_ones_are_refused(served: Any) -> None:
    import cv2

    def gray(side: int, kind: str = ".png") -> bytes:
        return cv2.imencode(kind, np.full((side, side), BRIGHT, np.uint8))[1].tobytes()

    side = int(LARGE_PIXELS**0.5)
    assert [is_large(gray(side)), is_large(gray(side + 1)), is_large(gray(side + 1, ".jpg"))] == [
        False,
        True,
        False,
    ]
    assert ask(served, gray(side + 1), PNG)[0] == 200
    status, line = ask(served, gray(2500), PNG)
    assert (status, line.partition(": ")[2]) == (
        422,
        "too_large: 2500 x 2500 pixels, more than 6 megapixels take too much memory: make it smaller",
    )


@pytest.mark.parametrize("num_threads", [1, 2])
def test_what_waits_is_predicted_together_in_order_by_the_model_it_was_asked_of(num_threads: int) -> None:
    """The thread is busy until all have come: then batches have at most eight pictures, and one model each."""
    batches: list[tuple[str, int]] = []

    def model(name: str) -> Any:
        def predict(pictures: list[bytes]) -> list[Prediction]:
            batches.append((name, len(pictures)))
            if b"no memory" in pictures:
                raise MemoryError
            return [Prediction(picture.decode(), {}) for picture in pictures]

        return SimpleNamespace(predict=predict)

    async def ask_all() -> list[Any]:
        with ThreadPoolExecutor(num_threads) as pool:
            waiting, go_on = Batches(pool, num_threads), threading.Event()
            for _ in range(num_threads):
                pool.submit(go_on.wait)
            one, other = model("one"), model("other")
            asked = [(one, f"{number}".encode()) for number in range(11)] + [(other, b"x"), (other, b"no memory")]
            found = [asyncio.create_task(waiting.predict(*each)) for each in asked]
            await asyncio.sleep(0)  # all are in the queue
            go_on.set()
            return await asyncio.gather(*found, return_exceptions=True)

    answers = asyncio.run(ask_all())
    assert [answer.label for answer in answers[:12]] == [*map(str, range(11)), "x"]
    assert isinstance(answers[12], MemoryError)
    sizes = [size for name, size in batches if name == "one"]
    assert sum(sizes) == 11 and max(sizes) <= 8 and len(sizes) < 11


def test_a_failure_costs_one_request_and_one_line(
    served: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Predictor, "predict", lambda *_: 1 / 0)
        assert ask(served, picture(BRIGHT), PNG) == (500, "the service failed at this request; its log says why")
    assert capsys.readouterr().err == "pawline: warning: a request failed: ZeroDivisionError: division by zero\n"
    assert ask(served, picture(BRIGHT), PNG)[0] == 200


@pytest.mark.parametrize(("host", "warned"), [("0.0.0.0", True), ("127.0.0.1", False), ("::1", False)])
def test_an_address_that_other_machines_reach_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], host: str, warned: bool
) -> None:
    parser, given = argparse.ArgumentParser(), list[Any]()
    add_command(parser.add_subparsers())
    monkeypatch.setattr("pawline.service.server.serve", lambda *arguments: given.extend(arguments) or 0)
    model = write_brightness(tmp_path)
    options = ["--max-megapixels", "7", "--max-megabytes", "2", "--max-requests", "9"]
    arguments = parser.parse_args(["serve", "--model", str(model), "--host", host, *options])
    assert arguments.run(arguments) == 0
    assert ("may be reached from other machines" in capsys.readouterr().err) == warned
    limits = given[4]
    assert (limits.max_megapixels, limits.max_body, limits.max_requests) == (7, 2 * MEGABYTE, 9)


def test_the_error_of_an_unreadable_picture_does_not_keep_its_bytes(tmp_path: Path) -> None:
    model, content = Predictor(write_brightness(tmp_path)), bytes(100)
    gc.disable()
    try:
        before = sys.getrefcount(content)
        [answer] = model.predict([content])
        assert answer.error and sys.getrefcount(content) == before
    finally:
        gc.enable()


def test_a_model_that_the_engine_loads_but_cannot_run_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    current = CurrentModel(write_brightness(tmp_path))
    old = current.predictor
    monkeypatch.setattr("pawline.runtime.model.RuntimeModel.probabilities", lambda *_: 1 / 0)
    write_brightness(tmp_path, model_digest="n" * 64)
    current.look()
    assert current.predictor is old
    assert "model.onnx: the engine cannot run it: division by zero" in capsys.readouterr().err


def keep_neutral_form(folder: Path, kernel: float = 1 / 255) -> None:
    """What `write_brightness` writes, as the walk computes it."""
    dense = {"kernel": np.array([[kernel, -kernel]], np.float32), "bias": np.zeros(2, np.float32)}
    nodes = [Node("mean", "global_average", [-1]), Node("output", "dense", [0], {}, dense)]
    layers = [{"difference": 0.0, "largest": 1.0}] * 2
    check = {"layers": layers, "logits": 0.0, "probabilities": 0.0, "num_pictures": 3, "keras": "3"}
    save_network(folder, Network(nodes, check))


def write_its_card(folder: Path, digest: str = "m" * 64) -> None:
    form: Any = {"image_size": SIDE, "color": "grayscale", "aspect": "stretch", "background": 255}
    card = Card(
        digest=digest, class_names=["bright", "dark"], form=form, network="brightness", num_weights=4,
        training_data_digest="d" * 64, decoder="one", conditions=CONDITIONS,
    )  # fmt: skip
    write_card(folder / "model.keras", card)


def test_the_walk_of_a_picture_is_a_page_where_its_network_is_at_hand(served: Any) -> None:
    def explain(body: bytes = picture(BRIGHT), headers: dict[str, str] = PNG) -> tuple[int, str]:
        return ask(served, body, headers, "/explain")

    assert explain() == (404, "no walk through the network: card.json does not lie beside the model's file")
    write_its_card(served.folder)
    status, line = explain()
    assert status == 404 and line.startswith("no walk through the network yet: `pawline explain PICTURE`")

    keep_neutral_form(served.folder / ("m" * 64), kernel=1.0)
    assert explain() == (404, "no walk through the network: the network in neutral form is another model's")
    keep_neutral_form(served.folder / "walk")
    assert explain()[0] == 200, "the folder beside the model comes first"


def test_a_network_without_a_walk_is_named_by_the_export_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise unknown_layer("tower", "LayerNormalization")

    monkeypatch.setattr("pawline.walk.kept.kept_network", refuse)
    keep_for_walks(tmp_path / "model.keras", SimpleNamespace(), tmp_path)  # type: ignore[arg-type]
    line = capsys.readouterr().err
    assert line.startswith("pawline: export: no walk through this network: layer 'tower' is a LayerNormalization")
    assert line.count("\n") == 1


def test_the_walks_page_holds_the_answer_of_the_engine(tmp_path: Path) -> None:
    keep_neutral_form(tmp_path / "walk")
    write_its_card(tmp_path)
    model = Predictor(write_brightness(tmp_path))
    [prediction] = model.predict([picture(BRIGHT)])
    walks = Walks(None)
    assert walks.missing(model.file, model.card) is None
    page = walks.page(model.file, model.card, picture(BRIGHT), prediction.probabilities or {})
    found = json.loads(page.partition('id="data">')[2].partition("</script>")[0])
    assert found["probabilities"] == pytest.approx(list((prediction.probabilities or {}).values()), abs=1e-6)
    assert found["picture"]["name"] == "your picture"
    assert "default-src 'none'" in page


def test_a_walk_is_about_one_readable_picture(tmp_path: Path) -> None:
    keep_neutral_form(tmp_path / "walk")
    write_its_card(tmp_path)
    current = CurrentModel(write_brightness(tmp_path))
    app = create_app(current, LIMITS, Hosts([]), Figures(), Walks(None))

    async def explain(body: bytes, headers: dict[str, str]) -> tuple[int, str]:
        import httpx

        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            answer = await client.post("/explain", content=body, headers=headers)
        return answer.status_code, answer.json()["error"] if answer.status_code >= 400 else answer.text

    two = part('; filename="x"', picture(1)) * 2 + b"--b--\r\n"
    assert asyncio.run(explain(two, FORM)) == (422, "2 pictures, expected one: the page is about one picture")
    assert asyncio.run(explain(b"no picture", PNG))[1].startswith("the picture cannot be read")
    status, page = asyncio.run(explain(picture(BRIGHT), PNG))
    assert status == 200 and "walk through the network" in page
