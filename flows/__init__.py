"""Prefect: what runs when. Importing the package settles the environment, before Prefect reads it."""

import os
import warnings

from pawline.process import begin

begin()  # nothing is sent anywhere, by any library

if not os.environ.get("PREFECT_API_URL", "not set"):
    del os.environ["PREFECT_API_URL"]  # set but empty, it would make Prefect lose every task run
# The temporary server's first start makes its database: longer than the usual 20 s on a busy machine.
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")
# flows/training.py says this itself, with what to do.
warnings.filterwarnings("ignore", "Failed to create the Prefect home")
