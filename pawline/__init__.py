"""Pawline: from a folder of photographs to a trained, explained and served image classifier.

The library knows no Prefect, no DVC and no MLflow; `tasks/` and `flows/` are built on it.
"""
