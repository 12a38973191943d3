"""A real Chromium for tests of pages: Playwright drives the one that the system has."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import pytest


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser. Where there is none, the test is skipped with the reason; on CI, where one is installed, it fails."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        _cannot("Playwright is not installed")
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        except Error as error:
            _cannot(f"Chromium does not start: {str(error).splitlines()[0]}")
        yield browser
        browser.close()


def _cannot(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
