"""`pawline serve`: the answers of `predict` over HTTP, refusals in one line, and new models in flight."""

import json
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from starlette.datastructures import Headers

from pawline.errors import ModelError, ParamsError
from pawline.service.current_model import CurrentModel
from pawline.service.hosts import Hosts
from pawline.service.limits import Limits, RefusedError
from pawline.service.server import serve
from tests.background import background
from tests.conftest import run
from tests.test_runtime import write_brightness

BRIGHT, DARK = 250, 0


def picture(level: int, kind: str = ".png") -> bytes:
    return cv2.imencode(kind, np.full((20, 30), level, np.uint8))[1].tobytes()


@contextmanager
def service(folder: Path, *arguments: str) -> Iterator[httpx.Client]:
    """A service with the network of `folder`; its log is background.log."""
    (folder / "models").mkdir(exist_ok=True)
    if not (folder / "models/model.onnx").exists():
        write_brightness(folder / "models", temperature=0.1)
    with background(folder, "pawline", "serve", "--port", "0", *arguments) as process:
        log = folder / "background.log"
        while not (address := re.search(r"answers at (http://\S+)/", log.read_text())):
            assert process.poll() is None, log.read_text()
            time.sleep(0.02)
        with httpx.Client(base_url=address[1], timeout=30) as client:
            client.process = process  # type: ignore[attr-defined]
            yield client


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, Path]]:
    folder = tmp_path_factory.mktemp("service")
    options = ["--max-megabytes", "1", "--max-pictures", "3"]
    with service(folder, *options) as client:
        yield client, folder


@pytest.fixture
def client(served: tuple[httpx.Client, Path]) -> httpx.Client:
    return served[0]


def ask(client: httpx.Client, *pictures: bytes, **params: Any) -> httpx.Response:
    files = [("picture", (f"{number}.png", each)) for number, each in enumerate(pictures)]
    return client.post("/predict", files=files, params=params)


def error(response: httpx.Response) -> tuple[int, str]:
    assert list(response.json()) == ["error"]
    line = response.json()["error"]
    assert "\n" not in line and "Traceback" not in line
    return response.status_code, line


def test_a_form_and_a_body_get_the_answer_of_predict(served: tuple[httpx.Client, Path]) -> None:
    client, folder = served
    (folder / "bright.png").write_bytes(picture(BRIGHT))
    [predicted] = json.loads(run(folder, "pawline", "predict", "bright.png", "--json").stdout)
    body = client.post("/predict", content=picture(BRIGHT), headers={"content-type": "image/png"}).json()
    [answer] = body["predictions"]
    assert answer == {key: predicted[key] for key in ("label", "probabilities", "unsure")}
    assert answer["label"] == "bright"
    assert ask(client, picture(BRIGHT)).json() == body
    assert body["model"] == "m" * 64


def test_many_pictures_are_answered_in_order_and_an_unreadable_one_alone_fails(client: httpx.Client) -> None:
    answer = ask(client, picture(DARK + 10), b"no picture", picture(BRIGHT)).json()["predictions"]
    assert [each["label"] for each in answer] == ["bright", None, "bright"]
    assert answer[1]["probabilities"] is None and answer[1]["error"]


def test_with_maps_the_answer_shows_the_picture_as_seen_and_where_the_class_is(client: httpx.Client) -> None:
    half = np.zeros((16, 16), np.uint8)
    half[:, :8] = 255
    [answer] = ask(client, cv2.imencode(".png", half)[1].tobytes(), maps=True).json()["predictions"]
    assert answer["seen"].startswith("data:image/png;base64,")
    assert answer["map"]["kind"] == "occlusion"
    values = np.array(answer["map"]["values"])
    assert values.shape == (8, 8)
    # Covering a white place with grey makes the picture darker, so less "bright"; a black one makes it brighter.
    assert (values[:, :4] > 0).all() and (values[:, 4:] < 0).all()


@pytest.mark.parametrize(
    ("kind", "content", "status", "line"),
    [
        ("application/json", b"{}", 415, "content type application/json"),
        ("", b"x", 415, "content type none"),
        ("image/png", b"", 422, "the request is empty"),
        ("image/png", b"no picture", 422, "the picture cannot be read"),
        ("image/png", picture(9)[:60], 422, "the picture cannot be read"),
        ("image/png", bytes(2**20 + 1), 413, "a request may have 1 MB"),
        ("multipart/form-data", b"x", 400, "the form cannot be read"),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Disp", 422, "the form holds no file"),
        ("multipart/form-data; boundary=b", b"--b--\r\n", 422, "the form holds no file"),
    ],
)
def test_what_is_no_picture_is_refused_in_one_line(
    client: httpx.Client, kind: str, content: bytes, status: int, line: str
) -> None:
    found = error(client.post("/predict", content=content, headers={"content-type": kind} if kind else {}))
    assert found[0] == status
    assert found[1].startswith(line)


def test_a_body_of_unknown_length_is_refused_as_soon_as_it_is_too_long(client: httpx.Client) -> None:
    chunks = (bytes(2**16) for _ in range(17))
    response = client.post("/predict", content=chunks, headers={"content-type": "image/png"})
    assert error(response) == (413, "a request may have 1 MB: send fewer, smaller pictures")


def test_more_pictures_than_allowed_are_refused(client: httpx.Client) -> None:
    assert error(ask(client, *[picture(1)] * 4)) == (413, "a request may have 3 pictures: send fewer at once")


def test_a_picture_with_too_many_pixels_is_refused_before_it_is_decoded(client: httpx.Client) -> None:
    bomb = bytearray(picture(1))
    bomb[16:24] = (60_000).to_bytes(4) * 2  # the size in the header of a PNG, and the header's checksum
    bomb[29:33] = zlib.crc32(bomb[12:29]).to_bytes(4)
    status, line = error(ask(client, bytes(bomb)))
    assert status == 422
    assert line.startswith("the picture cannot be read: too_large: 60000 x 60000 pixels, more than 64 megapixels")


def test_other_paths_methods_and_values_are_refused_in_one_line(client: httpx.Client) -> None:
    assert error(client.get("/nothing"))[0] == 404
    assert error(client.get("/predict"))[0] == 405
    assert error(client.put("/predict"))[0] == 405
    assert error(ask(client, picture(1), maps="perhaps")) == (422, "maps: 'perhaps', expected true or false")


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "", "[::1", "localhost@evil.example:80"]
)
def test_a_foreign_host_is_refused(host: str) -> None:
    with pytest.raises(RefusedError, match="none of this service's names"):
        Hosts(["mine.example"]).check(Headers({"host": host}))


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:1", "[::1]:80", "192.168.1.5", "Mine.example:443"])
def test_an_own_host_is_accepted_and_pages_of_other_sites_are_not(host: str) -> None:
    hosts = Hosts(["mine.example"])
    hosts.check(Headers({"host": host}))
    hosts.check(Headers({"host": host, "origin": f"https://{host}"}))
    for origin in ("https://evil.example", "null"):
        with pytest.raises(RefusedError) as refused:
            hosts.check(Headers({"host": host, "origin": origin}))
        assert refused.value.status == 403


def test_health_model_counters_and_description_answer(client: httpx.Client) -> None:
    ask(client, picture(BRIGHT))
    assert client.get("/healthz").json() == {"status": "ok"}
    ready = client.get("/readyz").json()
    assert (ready["model"], ready["class_names"]) == ("m" * 64, ["bright", "dark"])
    assert ready["no_walk"].startswith("no walk through the network: card.json does not lie beside")
    counters = client.get("/metrics").text
    assert re.search(r'pawline_requests_total\{path="/predict",status="200"\} [1-9]', counters)
    assert f'pawline_model{{digest="{"m" * 64}"}} 1.0' in counters
    described = client.get("/openapi.json").json()["paths"]["/predict"]["post"]
    assert set(described["requestBody"]["content"]) == {
        "image/*",
        "application/octet-stream",
        "multipart/form-data",
    }


def test_whatever_the_description_allows_gets_an_answer_that_it_names(served: tuple[httpx.Client, Path]) -> None:
    """Schemathesis asks what the document allows and what it does not. The document cannot say which bytes are a
    picture, so that valid requests may be refused."""
    client, folder = served
    log = (folder / "background.log").read_text()
    options = ["--checks", "all", "--exclude-checks", "positive_data_acceptance", "--continue-on-failure"]
    bounded = ["--max-examples", "25", "--seed", "1", "--generation-database", "none", "--no-color"]
    run(folder, "schemathesis", "run", f"{client.base_url}/openapi.json", *options, *bounded)
    assert (folder / "background.log").read_text() == log, "no request writes into the log"


def test_what_is_described_is_there_and_counted_by_its_path(client: httpx.Client) -> None:
    described = client.get("/openapi.json").json()["paths"]
    for path, methods in described.items():
        [method] = methods
        response = client.request(method, path)
        assert str(response.status_code) in methods[method]["responses"] and "no such page" not in response.text
        assert client.request("PUT", path).status_code == 405
        assert f"<code>{method.upper()} {path}</code>" in client.get("/docs").text
    assert client.get("/a/name/of/mine").status_code == 404
    counters = client.get("/metrics").text
    assert all(f'path="{path}"' in counters for path in [*described, "other"])
    assert "/a/name" not in counters


def test_pages_ask_no_other_host(client: httpx.Client) -> None:
    for name in ("/", "/docs"):
        page = client.get(name)
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert not re.findall(r"(?:src|href)=[\"']?(?:https?:)?//", page.text)
        for part in re.findall(r"(?:src|href)=\"([\w.]+)\"", page.text):
            assert client.get(f"/{part}").status_code == 200


def test_uploads_are_neither_kept_nor_named(served: tuple[httpx.Client, Path]) -> None:
    client, folder = served
    before = sorted(path.name for path in folder.rglob("*"))
    client.post("/predict", files={"picture": ("secret name.png", picture(BRIGHT) + bytes(900_000))})
    assert sorted(path.name for path in folder.rglob("*")) == before
    assert "secret" not in (folder / "background.log").read_text()


def test_requests_beyond_the_limit_are_asked_to_come_again(tmp_path: Path) -> None:
    with service(tmp_path, "--max-requests", "2") as client:
        address = (client.base_url.host, client.base_url.port)
        head = (
            b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: 999\r\n\r\n"
        )
        slow = [socket.create_connection(address) for _ in range(2)]
        for connection in slow:
            connection.sendall(head)
        while "pawline_requests_at_work 2.0" not in client.get("/metrics").text:
            time.sleep(0.02)
        refused = ask(client, picture(1))
        assert error(refused) == (429, "2 requests are at work or wait: try again")
        assert refused.headers["retry-after"] == "1"
        for connection in slow:
            connection.close()
        while "pawline_requests_at_work 0.0" not in client.get("/metrics").text:
            time.sleep(0.02)
        assert ask(client, picture(1)).status_code == 200


def test_a_new_model_takes_over_under_load_and_no_request_fails(tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / str(number)).mkdir()
        write_brightness(tmp_path / str(number), model_digest=str(number) * 64)
    link = tmp_path / "current"
    link.symlink_to("0")
    asked: list[tuple[int, str]] = []
    stop = threading.Event()
    with service(tmp_path, "--model", "current/model.onnx") as client, ThreadPoolExecutor(2) as pool:

        def keep_asking() -> None:
            while not stop.is_set():
                answer = ask(client, picture(BRIGHT))
                asked.append((answer.status_code, answer.json()["model"]))

        running = [pool.submit(keep_asking) for _ in range(2)]
        for target in ("1", "0", "1"):
            new = tmp_path / "new"
            new.symlink_to(target)
            new.rename(link)
            while client.get("/readyz").json()["model"] != target * 64:
                time.sleep(0.05)
        stop.set()
        for each in running:
            each.result()
    assert {status for status, _ in asked} == {200}
    assert {model for _, model in asked} == {"0" * 64, "1" * 64}


def test_damaged_files_leave_the_old_model_at_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    swaps: list[bool] = []
    current = CurrentModel(write_brightness(tmp_path), swaps.append)
    old = current.predictor
    (tmp_path / "model.onnx").write_bytes(b"damaged")
    current.look()
    current.look()
    assert current.predictor is old
    assert swaps == [False]
    assert "the old one goes on answering" in capsys.readouterr().err
    (tmp_path / "export.json").unlink()
    current.look()
    write_brightness(tmp_path, model_digest="n" * 64)
    current.look()
    assert current.predictor.card.model_digest == "n" * 64
    assert swaps == [False, True]


def test_a_stop_answers_what_was_accepted(tmp_path: Path) -> None:
    with service(tmp_path) as client:
        body = picture(BRIGHT)
        with socket.create_connection((client.base_url.host, client.base_url.port)) as connection:
            head = f"Host: localhost\r\nContent-Type: image/png\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(f"POST /predict HTTP/1.1\r\n{head}".encode() + body[:10])
            while "pawline_requests_at_work 1.0" not in client.get("/metrics").text:
                time.sleep(0.02)
            process: subprocess.Popen[str] = client.process  # type: ignore[attr-defined]
            process.send_signal(signal.SIGTERM)
            time.sleep(0.2)
            connection.sendall(body[10:])
            assert b"200 OK" in connection.recv(65536)
        assert process.wait(timeout=30) == 143


def test_a_model_that_cannot_be_loaded_or_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not found"):
        CurrentModel(tmp_path / "model.onnx")
    missing = run(tmp_path, "pawline", "serve", expect=3)
    assert (
        missing.stderr.startswith("pawline: models/model.onnx: no such file, ") and missing.stderr.count("\n") == 1
    )
    (tmp_path / "models").mkdir()
    write_brightness(tmp_path / "models")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        used = run(tmp_path, "pawline", "serve", "--port", port, expect=75)
    assert "name another with --port" in used.stderr
    shutil.rmtree(tmp_path / "models")


def test_impatient_signals_end_the_service_in_one_line(tmp_path: Path) -> None:
    with service(tmp_path) as client:
        assert ask(client, picture(BRIGHT)).status_code == 200
        process: subprocess.Popen[str] = client.process  # type: ignore[attr-defined]
        for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM):
            process.send_signal(number)
        assert process.wait(timeout=30) == 130
    lines = (tmp_path / "background.log").read_text().splitlines()
    assert [line for line in lines if " answers" not in line] == ["pawline: stopped"]


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 99_999), ("203.0.113.7", 0), ("no host", 0)])
def test_a_port_or_address_that_is_not_here_is_wrong_usage(tmp_path: Path, host: str, port: int) -> None:
    with pytest.raises(ParamsError, match="expected 0 to 65535|--host"):
        serve(write_brightness(tmp_path), host, port, [], Limits())
