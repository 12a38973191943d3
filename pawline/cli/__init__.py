"""The `pawline` command: a module per subcommand, each with its arguments beside what it does."""

from pawline.process import begin

begin()
