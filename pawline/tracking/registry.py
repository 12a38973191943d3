"""MLflow's registered model `pawline`: its versions, the aliases `champion` and `challenger`, and the champions before.

What a command knows is written in an order in which every prefix is a state that the next command understands, since a
kill may come between any two writes:

1. A version is made with the digest of its model in a tag: one version per digest.
2. A challenge takes its number (a tag of the registered model, keyed by the test part) before it looks at the pictures.
3. The verdict is written into the version, first in words, then as the record that counts.
4. A move of the champion is one tag (the line of champions, with `from`), then the alias, then the tag without `from`.
   Where `from` is still there, the next command finishes the move.

Commands on one machine wait for each other by a file lock. MLflow offers nothing by which two machines could.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import mlflow
from mlflow.entities.model_registry import ModelVersion, RegisteredModel

from pawline.judging.gate import PROMOTE
from pawline.tracking.store import MODEL_DIGEST, busy_unless_it_answers, if_there
from pawline.workspace.checkout import main_checkout
from pawline.workspace.layout import LocalState
from pawline.workspace.registered import forget_answers
from pawline.workspace.turns import turn

NAME, CHAMPION, CHALLENGER = "pawline", "champion", "challenger"
LINE = "pawline.champions"  # a tag of the registered model: who was champion, the oldest first
CHALLENGES = "pawline.challenges."  # tags of the registered model, with the digest of a test part at the end
VERDICT, RECORD = "pawline.verdict", "pawline.judged"  # tags of a version: for people, and for the next command
EXPERIMENT_VERSION = "pawline.experiment"  # a tag of a version that an experiment registered
LONGEST_LINE, MOST_LISTED = 100, 200  # champions and challenges that are kept


@dataclass(frozen=True)
class Judgement:
    """What the gate said about a version. champion: the version that it was compared with, 0 where there was none;
    question: the digest of all that the verdict depends on besides the champion, "" where it may change by itself;
    check: whether the stage `check` passed."""

    decision: str
    words: str
    champion: int
    question: str
    check: bool | None = None


@dataclass(frozen=True)
class Line:
    """versions: the champions, the oldest first and the present one last; empty where there is none. rolled_back:
    versions that a person took the alias from."""

    versions: tuple[int, ...] = ()
    rolled_back: frozenset[int] = frozenset()

    @property
    def champion(self) -> int:
        return self.versions[-1] if self.versions else 0

    def promoted(self, version: int) -> "Line":
        return Line((*self.versions, version)[-LONGEST_LINE:], self.rolled_back - {version})

    def back(self) -> "Line":
        return Line(self.versions[:-1], self.rolled_back | {self.champion})


class Registry:
    """The registered model in the store in use."""

    def __init__(self) -> None:
        self._client = mlflow.MlflowClient()

    @contextmanager
    def locked(self) -> Iterator[int]:
        """Hold the registry alone on this machine; first finish what a kill left. Raises BusyError after 30 s.

        Yields the version that an unfinished rollback came from, 0 where there was none."""
        with turn(LocalState(main_checkout()).registry_lock, "the registered models"), busy_unless_it_answers():
            yield self._finish_move()

    def version_of(self, digest: str) -> ModelVersion | None:
        """The version of the model with this digest; the first one, should two machines have made one each."""
        found = [one for one in self._versions() if one.tags.get(MODEL_DIGEST) == digest]
        return min(found, key=lambda one: int(one.version), default=None)

    def version(self, number: int) -> ModelVersion | None:
        return next((one for one in self._versions() if int(one.version) == number), None)

    def newest(self) -> int:
        """The number of the newest version, or 0."""
        return max((int(one.version) for one in self._versions()), default=0)

    def add_version(self, digest: str, run_id: str, model_id: str, experiment: str) -> ModelVersion:
        """Register a logged model of MLflow. experiment: its name, or empty."""
        if self._model() is None:
            self._client.create_registered_model(NAME)
        tags = {MODEL_DIGEST: digest} | ({EXPERIMENT_VERSION: experiment} if experiment else {})
        return self._client.create_model_version(
            NAME, f"models:/{model_id}", run_id=run_id, tags=tags, model_id=model_id
        )

    def line(self) -> Line:
        """The champions. The alias is the truth: whoever moved it by hand in MLflow is followed."""
        model = self._model()
        if model is None:
            return Line()
        told, champion = _told(model), _alias(model, CHAMPION)
        there = {int(one.version) for one in self._versions()}
        versions = tuple(one for one in told.versions if one in there)
        if not champion:
            return Line((), told.rolled_back)
        if champion not in versions:
            return Line((*versions, champion), told.rolled_back - {champion})
        last = max(place for place, version in enumerate(versions) if version == champion)
        return Line(versions[: last + 1], told.rolled_back | frozenset(versions[last + 1 :]) - {champion})

    def challenger(self) -> int:
        """The version with the alias `challenger`, or 0."""
        model = self._model()
        return _alias(model, CHALLENGER) if model else 0

    def challenge_number(self, test_digest: str, version: int, champion: int) -> int:
        """The number of this challenge among all on one test part, from 1; a repeated one has the number of before."""
        model, key = self._model(), f"{CHALLENGES}{test_digest}"
        taken = model.tags.get(key, "").split() if model else []
        numbers = {pair: int(number) for number, _, pair in (entry.partition("=") for entry in taken)}
        pair = f"{version}:{champion}"
        if pair in numbers:
            return numbers[pair]
        number = max(numbers.values(), default=0) + 1
        kept = [*taken, f"{number}={pair}"][-MOST_LISTED:]
        self._client.set_registered_model_tag(NAME, key, " ".join(kept))
        return number

    def judgement(self, number: int) -> Judgement | None:
        """What the gate said about a version, None where it was not asked."""
        version = self.version(number)
        try:
            return Judgement(**json.loads(version.tags[RECORD])) if version else None
        except (KeyError, TypeError, ValueError):
            return None

    def record(self, version: ModelVersion, judgement: Judgement) -> None:
        self._client.set_model_version_tag(NAME, version.version, VERDICT, judgement.words)
        self._client.set_model_version_tag(NAME, version.version, RECORD, json.dumps(asdict(judgement)))

    def note(self, version: int, words: str) -> None:
        """Put words into a version, for people, in place of its verdict."""
        self._client.set_model_version_tag(NAME, str(version), VERDICT, words)

    def make_challenger(self, version: int) -> None:
        if self.challenger() != version:
            self._client.set_registered_model_alias(NAME, CHALLENGER, str(version))

    def move(self, to: Line) -> None:
        """Let the last of a line be the champion."""
        model = self._model()
        self._write(to, moving_from=_alias(model, CHAMPION) if model else 0)
        self._finish_move()

    def _finish_move(self) -> int:
        model = self._model()
        if model is None or "from" not in (tag := _read(model)):
            return 0
        line, champion = _told(model), _alias(model, CHAMPION)
        if champion == tag["from"] != line.champion and self.version(line.champion):
            forget_answers()
            self._client.set_registered_model_alias(NAME, CHAMPION, str(line.champion))
            champion = line.champion
        elif (
            champion != line.champion and tag["from"] in line.versions
        ):  # moved by hand: this one never was champion
            line = Line(line.versions[:-1], line.rolled_back)
        if champion and _alias(model, CHALLENGER) == champion:
            self._client.delete_registered_model_alias(NAME, CHALLENGER)
        self._write(line)
        return int(str(tag["from"])) if tag["from"] in line.rolled_back else 0

    def _write(self, line: Line, moving_from: int | None = None) -> None:
        told: dict[str, object] = {"champions": line.versions, "rolled_back": sorted(line.rolled_back)}
        if moving_from is not None:
            told["from"] = moving_from
        self._client.set_registered_model_tag(NAME, LINE, json.dumps(told))

    def _model(self) -> RegisteredModel | None:
        return if_there(lambda: self._client.get_registered_model(NAME))

    def _versions(self) -> list[ModelVersion]:
        return list(self._client.search_model_versions(f"name = '{NAME}'"))


def may_move(line: Line, version: ModelVersion, judgement: Judgement) -> bool:
    """Whether a verdict in favour still holds, so that it may be carried out without a person."""
    number = int(version.version)
    is_new = judgement.champion == line.champion and number not in {*line.versions, *line.rolled_back}
    return judgement.decision == PROMOTE and is_new and EXPERIMENT_VERSION not in version.tags


def _read(model: RegisteredModel) -> dict[str, object]:
    try:
        tag = json.loads(model.tags.get(LINE, "{}"))
    except ValueError:  # somebody edited it
        return {}
    return tag if isinstance(tag, dict) else {}


def _told(model: RegisteredModel) -> Line:
    tag = _read(model)
    try:
        return Line(tuple(map(int, tag.get("champions", ()))), frozenset(map(int, tag.get("rolled_back", ()))))  # type: ignore[call-overload]
    except (TypeError, ValueError):
        return Line()


def _alias(model: RegisteredModel, alias: str) -> int:
    """The version with an alias, or 0."""
    return int(model.aliases.get(alias, 0))
