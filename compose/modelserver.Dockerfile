# The model server. Every version's image is this one and a layer with the version on top.
#
#   make base-image                                   without a registry: a base of Debian packages
#   docker build -f compose/modelserver.Dockerfile -t slipway/modelserver:0.1.0 .
#
# BASE_IMAGE        any Linux with Python 3.11 or newer as `python3`, its `venv` module included
# EXTRA_CA_BUNDLE   a file of the build context: certificates to trust while packages are fetched,
#                   behind a proxy that inspects TLS. Not in the image that comes out.
#
# A folder `wheels` in the build context is used instead of an index, without any network.
ARG BASE_IMAGE=python:3.12.14-slim-bookworm@sha256:0f5b26b9518d002b6173fd61daad821fa340635ebfec5bba471013f9ca114579

FROM ${BASE_IMAGE} AS build
LABEL slipway.stage=build
ARG EXTRA_CA_BUNDLE=
WORKDIR /build
# COPY needs something to copy: without a bundle, a file that is here anyway.
COPY requirements/modelserver.txt ${EXTRA_CA_BUNDLE:-requirements/modelserver.txt} ./
COPY requirements/modelserver.txt wheels* ./wheels/
RUN python3 -m venv /opt/slipway && \
    if [ -n "$EXTRA_CA_BUNDLE" ]; then export PIP_CERT="/build/$(basename "$EXTRA_CA_BUNDLE")"; fi && \
    if ls wheels/*.whl >/dev/null 2>&1; then export PIP_NO_INDEX=1 PIP_FIND_LINKS=/build/wheels; fi && \
    /opt/slipway/bin/python -m pip install --quiet --no-cache-dir --no-compile \
        --disable-pip-version-check --only-binary :all: --require-hashes -r modelserver.txt && \
    /opt/slipway/bin/python -m pip uninstall --quiet --yes pip setuptools && \
    find /opt/slipway -depth -type d \( -name tests -o -name __pycache__ \) -exec rm -rf {} +
WORKDIR /slipway
COPY wire ./wire
COPY modelserver ./modelserver
# Nothing can be written where it runs, so Python's byte code is made here.
RUN find . -name __pycache__ -depth -exec rm -rf {} + && \
    /opt/slipway/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/slipway/lib /slipway

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="Slipway model server" \
      org.opencontainers.image.description="Serves one ONNX model over the Open Inference Protocol V2" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
# It installs nothing and nobody else shall.
RUN rm -rf /usr/local/bin/pip* /usr/local/lib/python3*/ensurepip \
        /usr/local/lib/python3*/site-packages/pip* \
        /usr/local/lib/python3*/site-packages/setuptools* \
        /usr/local/lib/python3*/site-packages/wheel* \
        /usr/lib/python3*/ensurepip /usr/share/python-wheels
COPY --from=build /opt/slipway /opt/slipway
COPY --from=build /slipway /slipway
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /slipway
USER 65532:65532
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
ENTRYPOINT ["/opt/slipway/bin/python", "-m", "modelserver"]
