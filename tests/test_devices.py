"""Several devices share a batch: tried with two logical processors, since there is no GPU here."""

import pytest

from tests.conftest import run
from tests.source import ROOT


@pytest.mark.parametrize(
    ("network", "optimizer"), [("classic", "adamw"), ("classic", "sgd"), ("classic", "muon"), ("fast", "muon")]
)
def test_two_devices_do_what_one_does(network: str, optimizer: str) -> None:
    """The classic network exactly; in the fast one each device normalizes by its own share of the batch."""
    told = run(ROOT, "python", "-m", "tests.two_devices", "params.yaml", network, optimizer).stdout
    of_loss, of_weights = (float(word) for word in told.split()[-2:])
    assert (of_loss, of_weights) < ((1e-5, 1e-5) if network == "classic" else (0.5, 0.5))
