"""Equal trainings at once, killed at random:  python -m benchmarks.equal_trainings [WORKSPACES [KILLS [EPOCHS]]]

Eight copies of a workspace, as `dvc exp run --temp` makes them, start the same training at the same time. Twelve times
one of them, chosen at random, is killed at a random moment (SIGKILL to all of its processes), and its command is given
again. At the end every command must have ended well, all models must be equal to the byte, and MLflow must have one run
with each epoch once. Takes about three minutes; exits with 1 unless all holds.
"""

import random
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.resume import start
from pawline.files import file_digest
from tests.background import kill_group
from tests.conftest import make_workspace, run, set_params
from tests.equal_trainings import epochs_per_run, experiment_copy, states_of_runs

MINUTES = 15


def campaign(places: list[Path], kills: int, rng: random.Random) -> list[int]:
    """The exit code of the last command in each place."""
    processes = [start(place, "--single-item") for place in places]
    begin = time.monotonic()
    for number in range(1, kills + 1):
        time.sleep(rng.uniform(0, 8))
        alive = [at for at, process in enumerate(processes) if process.poll() is None]
        if not alive:
            print(f"all had ended before kill {number}; more epochs give more time")
            break
        at = rng.choice(alive)
        kill_group(processes[at])
        processes[at] = start(places[at], "--single-item")
        print(f"{time.monotonic() - begin:5.1f} s: killed {at + 1}, {len(alive)} were at work", flush=True)
    codes = [process.wait(MINUTES * 60) for process in processes]
    print(f"{time.monotonic() - begin:5.1f} s: all have ended")
    return codes


def main() -> None:
    given = list(map(int, sys.argv[1:]))
    num_places, kills, epochs = given + [8, 12, 150][len(given) :]
    with tempfile.TemporaryDirectory() as name:
        home = make_workspace(Path(name, "home"))
        set_params(home, {"train.epochs": epochs, "train.patience": 1000})
        run(home, "dvc", "repro", "split")
        places = [home, *(experiment_copy(home, str(number)) for number in range(2, num_places + 1))]
        codes = campaign(places, kills, random.Random(1))
        models = {file_digest(place / "models/model.keras") for place in places if not codes[places.index(place)]}
        runs = epochs_per_run(home)
        once = [steps == list(range(1, epochs + 1)) for steps in runs.values()]
        ended = set(states_of_runs(home).values()) == {"FINISHED"}
        for place, code in zip(places, codes, strict=True):
            if code:
                print(f"{place}: exit code {code}: {(place / 'repro.log').read_text()[-500:]}")
    good = codes == [0] * num_places and len(models) == 1 and once == [True] and ended
    print(
        f"{codes.count(0)} of {num_places} ended well, {len(models)} different models, {len(runs)} MLflow runs, "
        f"{'each epoch once' if all(once) else f'epochs {[*runs.values()]}'}, "
        f"{'all finished' if ended else 'not all finished'}"
    )
    sys.exit(not good)


if __name__ == "__main__":
    main()
