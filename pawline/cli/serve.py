"""`pawline serve`: answer over HTTP."""

import argparse
import ipaddress
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from pawline.addresses import is_in_mlflow
from pawline.cli.model_file import existing_model, next_step
from pawline.cli.positive import positive
from pawline.errors import ModelError
from pawline.service.limits import MEGABYTE, Limits
from pawline.terminal import say
from pawline.workspace.checkout import main_checkout
from pawline.workspace.laid_models import champion_files
from pawline.workspace.layout import Layout, LocalState
from pawline.workspace.model_watch import handed_over

USUAL = Limits()
SHARE = USUAL.max_bodies // USUAL.max_body  # largest requests that fit into the memory for all


def add_command(commands: Any) -> None:
    command = commands.add_parser("serve", help="answer over HTTP: a page for people, POST /predict for programs")
    command.add_argument(
        "--model",
        metavar="FILE|URI",
        help="a model.onnx with its export.json beside it, or an MLflow address such as models:/pawline@champion "
        "(default: the champion of this checkout, else its own model)",
    )
    command.add_argument("--host", default="127.0.0.1", help="the address to listen at (default: %(default)s)")
    command.add_argument("--port", type=int, default=8000, help="0: a free one (default: %(default)s)")
    command.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="another name of this service, as a proxy's",
    )
    for option, usual, what in (
        ("--max-megabytes", USUAL.max_body // MEGABYTE, "of a request"),
        ("--max-pictures", USUAL.max_pictures, "of a request"),
        ("--max-megapixels", int(USUAL.max_megapixels), "of a picture"),
        ("--max-requests", USUAL.max_requests, "at once"),
        ("--seconds", int(USUAL.answer_seconds), "for an answer"),
    ):
        command.add_argument(option, type=positive, default=usual, help=f"{what} (default: %(default)s)")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal; the exit code is then 130 or 143."""
    from pawline.service.server import serve

    if not _is_loopback(arguments.host):
        say(
            f"warning: {arguments.host} may be reached from other machines, which may all ask; put a proxy with TLS "
            "and authentication before it (docs/serving.md)"
        )
    limits = Limits(
        max_body=arguments.max_megabytes * MEGABYTE,
        max_bodies=max(SHARE * arguments.max_megabytes * MEGABYTE, USUAL.max_bodies),
        max_pictures=arguments.max_pictures,
        max_megapixels=arguments.max_megapixels,
        max_requests=arguments.max_requests,
        answer_seconds=arguments.seconds,
    )
    try:
        with _model_file(arguments.model) as model:
            walks = LocalState(main_checkout()).walks
            return serve(model, arguments.host, arguments.port, arguments.allow_host, limits, walks)
    except ModelError as error:
        raise ModelError(f"{error}; {next_step(arguments.model, Layout().exported)}") from None


def _model_file(named: str | None) -> AbstractContextManager[Path]:
    if named and is_in_mlflow(named):
        return handed_over(named)
    return nullcontext(existing_model(named or _own_model()))


def _own_model() -> Path:
    """The champion, where there is one; else the model of this workspace."""
    champion, own = champion_files().file, Layout().exported
    if champion.exists():
        return champion
    if own.exists():
        why = "the champion's files are gone" if champion.parent.is_symlink() else "there is no champion yet"
        say(f"{why}: {own} answers; `pawline register`, then start the service again")
    return own


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
