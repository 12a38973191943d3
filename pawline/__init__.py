"""Pawline: from a folder of photographs to a trained, explained and served image classifier.

The library knows no Prefect, no DVC and no MLflow. DVC and git have the room `workspace`, MLflow has `tracking`, the
command line has `cli`; `tasks` and `flows` are built on them. docs/architecture.md draws the rooms.
"""
