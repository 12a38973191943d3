"""What `pawline register` answered, kept on this machine: it answers again at once, without loading MLflow.

MLflow is the truth. An answer counts for half a day, so that whoever moved the champion elsewhere is noticed; a command
of this checkout that moves it drops all answers.
"""

import hashlib
import json
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from pawline.files import file_digest, write_text
from pawline.params.whole import load_params
from pawline.terminal import say
from pawline.workspace.checkout import main_checkout
from pawline.workspace.laid_models import champion_files
from pawline.workspace.layout import Layout, LocalState, local_store, store_address

PROMOTED, KEPT = "Promoted", "Kept"
MAX_AGE_SECONDS = 12 * 3600


@dataclass(frozen=True)
class Answer:
    """state: Promoted or Kept; is_known: whether an earlier command judged the model."""

    version: int
    digest: str
    state: str
    words: str
    is_known: bool = False

    def __str__(self) -> str:
        return f"version {self.version}{', known' if self.is_known else ''}: {self.words}"


def known_answer(workspace: Path = Path()) -> Answer | None:
    """The last answer about the model, test part, check and params of a workspace; None where there is none.

    Raises ParamsError for a params.yaml that is wrong."""
    file = _file(workspace)
    try:
        is_fresh = file is not None and 0 <= time.time() - file.stat().st_mtime < MAX_AGE_SECONDS
        kept = json.loads(file.read_text(encoding="utf-8")) if file and is_fresh else None
        answer = Answer(**{**kept, "is_known": True}) if kept else None
    except (OSError, ValueError, TypeError):
        return None
    if answer and answer.state == PROMOTED and not champion_files().file.exists():
        return None  # somebody deleted the files of the champion: the command lays them again
    return answer


def keep_answer(answer: Answer, workspace: Path = Path()) -> None:
    """Keep an answer; where that fails, the next one takes longer."""
    try:
        if file := _file(workspace):
            write_text(file, json.dumps(asdict(answer)))
    except OSError as error:
        say(f"the answer is not kept for next time: {error.strerror or error}")


def forget_answers() -> None:
    shutil.rmtree(LocalState(main_checkout()).registered, ignore_errors=True)


def _file(workspace: Path) -> Path | None:
    """The file of the answer; None where there is no model, or the local store is gone."""
    at, local = Layout(), LocalState(main_checkout(workspace))
    read = [at.model, at.card, at.exported, at.export_card, at.split, at.index, at.metrics_of("check")]
    if not (workspace / at.model).exists() or (store_address() == local_store() and not local.store.exists()):
        return None
    parts = [file_digest(workspace / path) if (workspace / path).is_file() else "" for path in read]
    # The local store's address is a path of the checkout, which may move: the key leaves it out.
    store = "" if store_address() == local_store() else store_address()
    parts += [store, load_params(workspace / at.params).promotion.model_dump_json()]
    return local.registered / f"{hashlib.sha256(json.dumps(parts).encode()).hexdigest()}.json"
