"""MLflow: the only code that imports it. Importing the package settles the environment, before MLflow reads it."""

from pawline.process import settle_environment

settle_environment()
