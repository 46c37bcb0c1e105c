# syntax=docker/dockerfile:1
FROM python:3.13-slim AS build
WORKDIR /build
RUN python -m venv /opt/spillway
COPY requirements-otel.lock .
RUN /opt/spillway/bin/pip install --no-cache-dir --require-hashes -r requirements-otel.lock
COPY pyproject.toml README.md LICENSE ./
COPY app app
COPY config config
RUN /opt/spillway/bin/pip install --no-cache-dir --no-deps .

FROM python:3.13-slim
# Few arenas: memory that is free in one of them is of no use to threads of another.
ENV PATH=/opt/spillway/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MALLOC_ARENA_MAX=2 \
    SPILLWAY_HOST=0.0.0.0 \
    SPILLWAY_DATA_DIR=/data \
    SPILLWAY_CATALOG_DIR=/catalog
RUN useradd --system --uid 10001 --no-create-home spillway \
    && mkdir /data \
    && chown spillway /data
COPY --from=build /opt/spillway /opt/spillway
# Where `spillway models refresh` may write; a new volume here starts with what the image has.
COPY --chown=10001 config/models /catalog
USER 10001
WORKDIR /data
# Nothing else is written to but /tmp: the root file system may be read-only.
VOLUME ["/data", "/catalog"]
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "-m", "app.cli.health"]
CMD ["spillway", "serve"]
