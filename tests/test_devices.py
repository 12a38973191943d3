"""Several devices split a batch: tested with two logical processors, since tests must run without a GPU."""

from tests.conftest import run
from tests.source import ROOT


def test_two_devices_train_like_one() -> None:
    """The classic network matches exactly. In the fast network each device normalizes its own part of the batch."""
    pairs = ["classic adamw", "classic sgd", "classic muon", "fast muon"]
    lines = run(ROOT, "python", "-m", "tests.two_devices", "params.yaml", *pairs).stdout.splitlines()
    assert [line.rsplit(maxsplit=2)[0] for line in lines] == pairs
    for line in lines:
        loss_difference, weight_difference = (float(word) for word in line.split()[-2:])
        limit = 1e-5 if line.startswith("classic") else 0.5
        assert (loss_difference < limit, weight_difference < limit) == (True, True), line
