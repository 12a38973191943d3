"""The checkout under DVC and git: the only code that runs either or reads `dvc.lock`."""
