"""The model that a flow asks, and a flow run without a server of the user's."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prefect import Flow
from prefect.states import State

from flows.training import start_server_unless_named
from pawline.addresses import is_in_mlflow
from pawline.errors import BusyError, ModelError, PawlineError
from pawline.workspace.laid_models import champion_files
from pawline.workspace.layout import Layout


@contextmanager
def asked_model(named: str) -> Iterator[Path]:
    """The exported file that is named, or that MLflow has at an address; by default the champion, and without one the
    model of the checkout. Raises ModelError."""
    if is_in_mlflow(named):
        from pawline.tracking.store import downloaded_model

        with downloaded_model(named) as file:
            yield file
        return
    champion = champion_files().file
    file = Path(named) if named else champion if champion.exists() else Layout().exported
    if not file.is_file():
        raise ModelError(f"{file}: no such model; make it with `dvc repro`, or name another one")
    yield file


def run_alone(flow: Flow[Any, Any], **values: Any) -> State[Any]:
    """Run a flow in this process and return its last state. Raises the PawlineError that it ended with."""
    try:
        start_server_unless_named()
        answer: Any = flow(**values, return_state=True)
    except RuntimeError as error:  # from Prefect itself: what the flow raises becomes its state
        raise BusyError(f"{error}; start the Prefect server, or unset PREFECT_API_URL to do without") from None
    ended: State[Any] = answer
    if isinstance(ended.data, PawlineError):
        raise ended.data
    ended.result()
    return ended
