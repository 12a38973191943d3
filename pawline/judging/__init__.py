"""How sure one may be of a figure: intervals and tests."""
