"""One module per stage: what DVC executes and Prefect wraps."""

from pawline.process import begin

begin()
