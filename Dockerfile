# The service alone: `pawline serve` with the packages of requirements-serve.lock. docs/serving.md says how to use it.
# Not built where Pawline is developed, which has no container engine; linted there (tests/test_serve_lock.py), and the
# same installation runs in a virtual environment (`python -m benchmarks.serve_alone`).

FROM python:3.12-slim AS build
RUN python -m venv /opt/pawline
WORKDIR /source
COPY requirements-serve.lock ./
RUN /opt/pawline/bin/pip install --no-cache-dir --require-hashes -r requirements-serve.lock
COPY pyproject.toml README.md LICENSE ./
COPY pawline pawline
RUN /opt/pawline/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.12-slim
RUN useradd --system --uid 10001 --no-create-home pawline
COPY --from=build /opt/pawline /opt/pawline
ENV PATH=/opt/pawline/bin:$PATH PYTHONDONTWRITEBYTECODE=1
USER 10001
# Holds model.onnx, export.json and card.json, and for the walk the folder `walk`: mount it read-only.
WORKDIR /model
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD \
    ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
# Inside of the container the service listens to all addresses; publish its port to 127.0.0.1 alone.
ENTRYPOINT ["pawline", "serve", "--model", "/model/model.onnx", "--host", "0.0.0.0", "--port", "8000"]
