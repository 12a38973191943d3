"""The model that a flow asks, and a flow run without a server of the user's."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prefect import Flow
from prefect.settings import PREFECT_API_URL

from flows.training import refuse_unwritable_home, start_temporary_server
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


def run_alone(flow: Flow[Any, Any], **values: Any) -> str:
    """Run a flow in this process and return what its last state says. Raises the PawlineError that it ended with."""
    try:
        if not PREFECT_API_URL.value():
            refuse_unwritable_home()
            start_temporary_server()
        ended: Any = flow(**values, return_state=True)
    except RuntimeError as error:  # from Prefect itself: what the flow raises becomes its state
        raise BusyError(f"{error}; start the Prefect server, or unset PREFECT_API_URL to do without") from None
    if isinstance(ended.data, PawlineError):
        raise ended.data
    ended.result()
    return f"{ended.name}: {ended.message}"
