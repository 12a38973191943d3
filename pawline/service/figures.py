"""What the service counts, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from pawline.predict import Prediction

CONTENT_TYPE = CONTENT_TYPE_LATEST
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Figures:
    """The counters of one service."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        at = self._registry
        self._requests = Counter("pawline_requests", "Requests answered", ["path", "status"], registry=at)
        self._seconds = Histogram(
            "pawline_request_seconds", "From a request to its answer", ["path"], buckets=SECONDS, registry=at
        )
        self._pictures = Counter(
            "pawline_pictures", "Pictures: answered, unsure or unreadable", ["outcome"], registry=at
        )
        self.at_work = Gauge("pawline_requests_at_work", "Requests being read or answered", registry=at)
        self._model = Gauge("pawline_model", "1 for the model that answers", ["digest"], registry=at)
        self._swaps = Counter("pawline_model_swaps", "New model files found", ["loaded"], registry=at)

    def request(self, path: str, status: int, seconds: float) -> None:
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def picture(self, prediction: Prediction) -> None:
        outcome = "unreadable" if prediction.error else "unsure" if prediction.unsure else "answered"
        self._pictures.labels(outcome).inc()

    def model(self, digest: str) -> None:
        self._model.clear()
        self._model.labels(digest).set(1)

    def swap(self, loaded: bool) -> None:
        self._swaps.labels("yes" if loaded else "no").inc()

    def text(self) -> bytes:
        return generate_latest(self._registry)
