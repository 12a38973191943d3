"""Two equal trainings at once, as two triggers or `dvc exp run --temp` twice start them: both end well."""

from pathlib import Path

from tests.background import background
from tests.conftest import set_params
from tests.equal_trainings import epochs_per_run, experiment_copy, states_of_runs

EPOCHS = 5


def test_two_equal_trainings_at_once_end_well_in_one_mlflow_run(finished: Path) -> None:
    set_params(finished, {"train.epochs": EPOCHS, "train.patience": 1000})
    places = [finished, experiment_copy(finished, "other")]
    set_params(places[1], {"prepare.cache_gigabytes": 7})  # a param that training does not use
    before = epochs_per_run(finished)
    command = ("dvc", "repro", "--single-item", "train")
    with background(places[0], *command) as first, background(places[1], *command) as second:
        codes = [process.wait(240) for process in (first, second)]

    logs = [(place / "background.log").read_text() for place in places]
    assert codes == [0, 0], logs
    assert any("an equal training is at work" in log for log in logs), logs
    models = [(place / "models/model.keras").read_bytes() for place in places]
    assert models[0] == models[1]
    after = epochs_per_run(finished)
    (new,) = after.keys() - before.keys()
    assert after[new] == list(range(1, EPOCHS + 1))
    assert states_of_runs(finished)[new] == "FINISHED"
    assert not (places[1] / "mlflow.db").exists()
