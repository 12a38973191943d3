"""Flow runs whose process was killed: Prefect goes on calling them Running until somebody says otherwise
(PrefectHQ/prefect 16746). The next flow run of this checkout does."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import UUID

import psutil
from prefect.client.orchestration import get_client
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL
from prefect.states import Crashed, State

from pawline.files import write_json
from pawline.workspace.checkout import WORKSPACE, main_checkout
from pawline.workspace.layout import LocalState
from pawline.workspace.processes import living_process


@contextmanager
def recorded(flow_run_id: str) -> Iterator[None]:
    """Keep on record, for the length of the block, which process it is; and mark those whose process is gone."""
    folder = LocalState(main_checkout(WORKSPACE)).flow_runs
    mark_dead_runs(folder)
    record = folder / f"{flow_run_id}.json"
    process = psutil.Process()
    write_json(record, {"pid": process.pid, "started": process.create_time(), "server": PREFECT_API_URL.value()})
    try:
        yield
    finally:
        record.unlink(missing_ok=True)


def mark_dead_runs(folder: Path) -> None:
    for record in folder.glob("*.json"):
        if not _lives(record):
            if _server(record) != PREFECT_API_URL.value():
                continue  # its own server will be asked when it is in use again
            with suppress(ObjectNotFound, ValueError), get_client(sync_client=True) as client:
                run = client.read_flow_run(UUID(record.stem))
                if run.state and not run.state.is_final():
                    crashed: State[None] = Crashed(
                        message="its process ended without a word: killed, or the machine went down"
                    )
                    client.set_flow_run_state(run.id, crashed, force=True)
            record.unlink(missing_ok=True)


def _server(record: Path) -> str | None:
    try:
        server: str | None = json.loads(record.read_text())["server"]
    except (OSError, ValueError, KeyError, TypeError):
        server = PREFECT_API_URL.value()
    return server


def _lives(record: Path) -> bool:
    try:
        fields = json.loads(record.read_text())
        return living_process(fields["pid"], fields["started"]) is not None
    except FileNotFoundError:  # it ended in the meantime and reports its own state
        return True
    except (ValueError, KeyError, TypeError):
        return False
