"""The number of threads follows the container's quota."""

import pytest

from pawline import threads


@pytest.mark.parametrize(
    ("limit", "expected"), [("max 100000", 4), ("150000 100000", 2), ("800000 100000", 4), (None, 4)]
)
def test_num_threads_follows_the_quota_of_the_container(
    monkeypatch: pytest.MonkeyPatch, limit: str | None, expected: int
) -> None:
    def read_text(path: object) -> str:
        if limit is None:
            raise FileNotFoundError
        return limit

    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda pid: {0, 1, 2, 3}, raising=False)
    monkeypatch.setattr(threads.Path, "read_text", read_text)
    assert threads.num_threads() == expected
