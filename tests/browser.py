"""A real Chromium for tests of pages: Playwright drives the one that the system has."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
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


@contextmanager
def opened(browser: Any, address: str, width: int, ready: str = "html") -> Iterator[Any]:
    """An offline tab with the page, its problems (console, errors) and its requests to anywhere but the page itself.

    ready: what the page shows when its script is done."""
    context = browser.new_context(viewport={"width": width, "height": 800}, offline=True)
    found = SimpleNamespace(page=context.new_page(), problems=[], requests=[])
    found.page.on("console", lambda message: found.problems.append(message.text))
    found.page.on("pageerror", lambda error: found.problems.append(str(error)))
    found.page.on("request", lambda request: found.requests.append(request.url))
    found.page.goto(address)
    # A page's policy keeps wait_for_function from running its code.
    found.page.wait_for_selector(ready, timeout=30_000)
    yield found
    context.close()


def asked_others(found: Any) -> list[str]:
    """The requests of an opened page that would leave this machine or read another file."""
    return [url for url in found.requests if url != found.page.url.split("#")[0] and not url.startswith("data:")]


def serious_barriers(page: Any, scheme: str) -> list[str]:
    """What axe finds serious or critical on a page, in light or dark. Its script comes with a package of the lock."""
    from axe_playwright_python.sync_playwright import Axe

    page.emulate_media(color_scheme=scheme)
    found = Axe().run(page).response["violations"]
    return [one["id"] for one in found if one["impact"] in ("serious", "critical")]


def is_too_wide(page: Any) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > innerWidth"))


def num_without_text(page: Any) -> int:
    """Pictures without alternative text; an empty one marks a picture as decoration."""
    return int(page.evaluate("[...document.images].filter((one) => !one.hasAttribute('alt')).length"))


def _cannot(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
