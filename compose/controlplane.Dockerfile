# The control plane: one image for web, worker, beat, collector and, with Envoy in it, the gateways.
#
#   docker build -f compose/controlplane.Dockerfile --target controlplane -t slipway/controlplane:0.1.0 .
#   docker build -f compose/controlplane.Dockerfile --target gateway      -t slipway/gateway:0.1.0 .
#
# BASE_IMAGE        any Linux with Python 3.11 or newer as `python3`, its `venv` module included
# ENVOY_IMAGE       where the gateway's Envoy comes from
# EXTRA_CA_BUNDLE   a file of the build context: certificates to trust while packages are fetched,
#                   behind a proxy that inspects TLS. Not in the image that comes out.
#
# A folder `wheels` in the build context is used instead of an index, without any network.
ARG BASE_IMAGE=python:3.12.14-slim-bookworm@sha256:0f5b26b9518d002b6173fd61daad821fa340635ebfec5bba471013f9ca114579
ARG ENVOY_IMAGE=envoyproxy/envoy:v1.40.0

FROM ${ENVOY_IMAGE} AS envoy

FROM ${BASE_IMAGE} AS build
LABEL slipway.stage=build
ARG EXTRA_CA_BUNDLE=
WORKDIR /build
# COPY needs something to copy: without a bundle, a file that is here anyway.
COPY requirements/controlplane.txt ${EXTRA_CA_BUNDLE:-requirements/controlplane.txt} ./
COPY requirements/controlplane.txt wheels* ./wheels/
RUN python3 -m venv /opt/slipway && \
    if [ -n "$EXTRA_CA_BUNDLE" ]; then export PIP_CERT="/build/$(basename "$EXTRA_CA_BUNDLE")"; fi && \
    if ls wheels/*.whl >/dev/null 2>&1; then export PIP_NO_INDEX=1 PIP_FIND_LINKS=/build/wheels; fi && \
    /opt/slipway/bin/python -m pip install --quiet --no-cache-dir --no-compile \
        --disable-pip-version-check --only-binary :all: --require-hashes -r controlplane.txt && \
    /opt/slipway/bin/python -m pip uninstall --quiet --yes pip setuptools
WORKDIR /slipway
COPY manage.py ./
COPY docs/reference ./docs/reference
COPY wire ./wire
COPY core ./core
COPY modelserver ./modelserver
COPY governance ./governance
COPY deployments ./deployments
COPY monitoring ./monitoring
COPY frontend ./frontend
COPY cli ./cli
COPY demo ./demo
COPY controlplane ./controlplane
COPY compose/healthcheck.py ./compose/
# Nothing can be written where it runs, so Python's byte code is made here.
RUN find . -name __pycache__ -depth -exec rm -rf {} + && \
    /opt/slipway/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/slipway/lib /slipway

FROM ${BASE_IMAGE} AS controlplane
LABEL org.opencontainers.image.title="Slipway control plane" \
      org.opencontainers.image.description="Web, worker, beat and collector of Slipway" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/slipway /opt/slipway
COPY --from=build /slipway /slipway
# What is kept are volumes; a new one takes its owner from here.
RUN install -d -o 10001 -g 10001 -m 0700 /var/lib/slipway /state /gateways /gateways/staging \
        /gateways/production && \
    install -d -o 10001 -g 10001 -m 0755 /var/lib/slipway-public
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PATH=/opt/slipway/bin:$PATH \
    SLIPWAY_HOME=/var/lib/slipway DJANGO_SETTINGS_MODULE=controlplane.settings
WORKDIR /slipway
USER 10001:10001
STOPSIGNAL SIGTERM

FROM controlplane AS gateway
LABEL org.opencontainers.image.title="Slipway gateway" \
      org.opencontainers.image.description="Envoy with Slipway's launcher"
COPY --from=envoy /usr/local/bin/envoy /usr/local/bin/envoy
ENV SLIPWAY_ENVOY=/usr/local/bin/envoy
ENTRYPOINT ["/opt/slipway/bin/python", "-m", "controlplane.gateway_launcher"]
