"""What MLflow answered, and what the user can do about it: one line and an exit code for each.

75 is for what may pass by itself: a server that is down, a database that is locked. Everything else needs a hand.
"""

import os
import re
import shlex
from importlib.metadata import entry_points
from urllib.parse import urlsplit

import mlflow
import requests
from mlflow.exceptions import MlflowException
from mlflow.tracking import get_tracking_uri

from pawline.addresses import is_address, public_address, without_secrets
from pawline.errors import BusyError, DatasetError, ParamsError, PawlineError, root_cause
from pawline.workspace.checkout import main_checkout
from pawline.workspace.layout import LocalState, local_store

SERVERS = ("http", "https")
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
VARIABLE = "MLFLOW_TRACKING_URI"
TAKEN = "an address of a tracking server (http, https) or of a database (sqlite:///…)"
CREDENTIALS = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"

# Part of what the database says: (the advice, its kind of error). {place}: the address or the file.
DATABASE_ANSWERS: list[tuple[str, str, type[PawlineError]]] = [
    (
        "readonly database|Permission denied|Read-only file system",
        "make it and its folder writable: {chmod}",
        ParamsError,
    ),
    (
        "unable to open database file|Not a directory|File exists",
        "its folder cannot be used: mend that, or correct the address",
        ParamsError,
    ),
    ("database is locked|could not be acquired", "another process is busy with it; try again", BusyError),
    ("disk is full|No space left", "make room on that disk; the same command continues", PawlineError),
    ("out-of-date database schema", "keep a copy of it, then run: mlflow db upgrade {address}", ParamsError),
    (
        "Can't locate revision",
        "a newer MLflow made it; install that version, or name another store in MLFLOW_TRACKING_URI",
        ParamsError,
    ),
    ("No module named|Can't load plugin", "install the package for this database, or correct the address", ParamsError),
    ("not a database|malformed", "move that file away to begin a new one", DatasetError),
]  # fmt: skip


def check_address(address: str) -> None:
    """Raise ParamsError for an address of MLFLOW_TRACKING_URI at which no store can be."""
    if re.fullmatch(r"[\w.-]+:\d+(/[\w./-]*)?", address):  # localhost:5000
        raise ParamsError(f"{VARIABLE} is {address}, without a scheme; set it to http://{address}")
    try:
        scheme, host = urlsplit(address).scheme.lower(), urlsplit(address).hostname
        shown = public_address(address) if is_address(address) else address.rpartition("@")[2]
        _ = urlsplit(address).port  # raises ValueError for a port that is none
    except ValueError as error:
        raise ParamsError(f"{VARIABLE} is no valid address ({error}); set it to {TAKEN}") from None
    plain = scheme.partition("+")[0]
    if scheme in SERVERS and not host:
        raise ParamsError(f"{VARIABLE} is {shown}, which names no server; set it to {scheme}://HOST:PORT")
    if plain in (*SERVERS, *DATABASES) and is_address(address):
        return
    if scheme in {plugin.name for plugin in entry_points(group="mlflow.tracking_store")}:
        return
    if scheme in ("", "file") and address not in ("databricks", "databricks-uc", "uc"):
        raise ParamsError(
            f"{VARIABLE} is {shown}, a folder, and MLflow keeps runs in folders no longer; "
            f"set it to {local_store()}, or unset it, which means the same"
        )
    if "databricks" in (scheme, address) or scheme == "databricks-uc" or address in ("databricks-uc", "uc"):
        raise ParamsError(
            f"{VARIABLE} is {shown}, but Databricks takes experiments below a user's folder only, and Pawline's is "
            f"named pawline; set it to {TAKEN}, or unset it to use the local store"
        )
    raise ParamsError(
        f"{VARIABLE} has the scheme {scheme!r}, which MLflow does not know; "
        f"set it to {TAKEN}, or unset it to use the local store"
    )


def explain(error: Exception) -> PawlineError:
    """The error of a store in use as one that the user can fix."""
    if isinstance(error, PawlineError):
        return error
    store, cause = get_tracking_uri(), without_secrets(root_cause(error))
    shown = public_address(store)
    if "deleted experiment" in str(error) or "in the 'deleted' state" in str(error):
        return _deleted(store, shown)
    if not store.startswith("http"):
        return _explain_database(store, shown, f"{cause} {without_secrets(str(error))}", cause)
    status, answer = _status(store) if isinstance(error, MlflowException) else (None, "")
    if status in (401, 403):
        what = "wants a user's name and password" if status == 401 else "does not let this user in"
        return ParamsError(f"MLflow at {shown} answers {answer}: it {what}; set {CREDENTIALS}")
    if status in (400, 404, 405) or status == 200 and "JSON" in str(error):
        return ParamsError(
            f"MLflow at {shown} is no MLflow server: it answers {answer}; correct {VARIABLE}, or unset it to use the "
            "local store"
        )
    if "CERTIFICATE_VERIFY_FAILED" in repr(error) or "certificate verify failed" in cause:
        return ParamsError(
            f"MLflow at {shown} has a certificate that is not trusted here: {cause}; "
            "set MLFLOW_TRACKING_SERVER_CERT_PATH to the certificate of its authority"
        )
    if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidHeader):
        return ParamsError(f"MLflow at {shown} cannot be asked: {cause}; correct {VARIABLE}")
    if status is not None and status >= 400:
        return BusyError(f"MLflow at {shown} answers {answer}; try again later")
    mend = "start it, or unset MLFLOW_TRACKING_URI to use the local store"
    return BusyError(f"MLflow at {shown} does not answer: {cause}; {mend}")


def _explain_database(store: str, shown: str, all_causes: str, cause: str) -> PawlineError:
    file = LocalState(main_checkout()).store
    place = (
        str(file)
        if store == local_store()
        else store.removeprefix("sqlite:///").partition("?")[0].removeprefix("file:")
    )
    chmod = (
        f"chmod u+w {shlex.quote(place)}" if store.startswith("sqlite") else "grant this user the right to write"
    )
    for said, advice, kind in DATABASE_ANSWERS:
        if re.search(said, all_causes, re.IGNORECASE):
            mend = advice.format(chmod=chmod, address=shlex.quote(shown))
            return kind(f"MLflow's store {shown} cannot be used: {cause}; {mend}")
    mend = "start it, or unset MLFLOW_TRACKING_URI to use the local store"
    if store.startswith("sqlite"):
        mend = "try again; if that does not help, keep the file and name another store in MLFLOW_TRACKING_URI"
    return BusyError(f"MLflow's store {shown} does not answer: {cause}; {mend}")


def _deleted(store: str, shown: str) -> PawlineError:
    from pawline.tracking.store import EXPERIMENT

    experiment = mlflow.get_experiment_by_name(EXPERIMENT)
    command = f"mlflow experiments restore --experiment-id {experiment.experiment_id if experiment else 'ID'}"
    if not os.environ.get(VARIABLE):  # the user's own is in the environment, with a password perhaps
        command = f"{VARIABLE}={shlex.quote(store)} {command}"
    return ParamsError(
        f"MLflow at {shown}: the experiment {EXPERIMENT} was deleted; bring it back with: {command}"
    )


def _status(store: str) -> tuple[int | None, str]:
    """(status, "status reason") with which a server answers now; MLflow's errors hide it behind a proxy's JSON."""
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    try:
        endpoint = "/api/2.0/mlflow/experiments/search"
        answer = http_request(
            get_default_host_creds(store),  # type: ignore[no-untyped-call]
            endpoint, "POST", json={"max_results": 1}, max_retries=0,
            raise_on_status=False,
        )  # fmt: skip
    except Exception:  # whatever it is, no answer
        return None, ""
    return int(answer.status_code), f"{answer.status_code} {answer.reason}".strip()
