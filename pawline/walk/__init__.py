"""The walk: every step of a trained network on one picture, in one page of HTML."""
