"""Several devices share a batch: tried with two logical processors, since there is no GPU here."""

from tests.conftest import run
from tests.source import ROOT


def test_two_devices_do_what_one_does() -> None:
    """The classic network exactly; in the fast one each device normalizes by its own share of the batch."""
    pairs = ["classic adamw", "classic sgd", "classic muon", "fast muon"]
    told = run(ROOT, "python", "-m", "tests.two_devices", "params.yaml", *pairs).stdout.splitlines()
    assert [line.rsplit(maxsplit=2)[0] for line in told] == pairs
    for line in told:
        of_loss, of_weights = (float(word) for word in line.split()[-2:])
        most = 1e-5 if line.startswith("classic") else 0.5
        assert (of_loss < most, of_weights < most) == (True, True), line
