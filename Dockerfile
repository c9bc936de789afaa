# The serving image: what a worker needs and nothing that only training does.
FROM python:3.12.11-slim-bookworm AS build
WORKDIR /build
ENV PIP_CACHE_DIR=/var/cache/pip
COPY locks/ locks/
RUN python -m venv /opt/tuwen && python -m venv tools \
    && awk '/^setuptools==/ { on = 1 } on { print } on && !/\\$/ { exit }' locks/all.txt > tools.txt
RUN --mount=type=cache,target=/var/cache/pip \
    tools/bin/pip install --require-hashes -r tools.txt \
    && /opt/tuwen/bin/pip install --require-hashes -r locks/serving.txt
COPY pyproject.toml README.md LICENSE ./
COPY schemas/ schemas/
COPY features/ features/
COPY inference/ inference/
COPY train/ train/
COPY export/ export/
COPY worker/ worker/
COPY tuwen/ tuwen/
RUN tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir wheels . \
    && /opt/tuwen/bin/pip install --no-deps wheels/*.whl

FROM python:3.12.11-slim-bookworm
RUN useradd --uid 10001 --create-home tuwen
COPY --from=build /opt/tuwen /opt/tuwen
ENV PATH=/opt/tuwen/bin:$PATH PYTHONUNBUFFERED=1
USER 10001
WORKDIR /home/tuwen
ENTRYPOINT ["tuwen"]
CMD ["--help"]
