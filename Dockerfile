# docker build --build-arg RIVULET_COMMIT="$(git rev-parse --short=12 HEAD)" -t rivulet .
#
# The image is for production: everybody has to say who they are, and it starts with a good secret and behind TLS only.
# docs/operations.md has the whole way; to look at it on this machine, with the sample documents and without either:
#
# docker run --rm -p 127.0.0.1:8080:8080 -e ENVIRONMENT=development -e REQUIRE_AUTHENTICATION=false \
#   -e RIVULET_KNOWLEDGE_PRELOAD=sample-knowledge rivulet
#
# It runs with `--read-only --tmpfs /tmp` and without any capability. --stop-timeout 40: answers get 30 seconds to finish
# (RIVULET_SERVER_DRAIN_S), and Docker kills after 10 by itself.

# By tag to be read, by digest to be what was meant. Both are for every machine.
ARG BUILD_IMAGE=rust:1.95-bookworm@sha256:6258907abe69656e41cd992e0b705cdcfabcbbe3db374f92ed2d47121282d4a1
ARG BASE_IMAGE=debian:12.12-slim@sha256:d5d3f9c23164ea16f31852f95bd5959aad1c5e854332fe00f7b3a20fcc9f635c

FROM ${BUILD_IMAGE} AS build
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
ENV RIVULET_CACHE=/cache CARGO_TARGET_DIR=/target
WORKDIR /rivulet

# System packages, the embedding model, ONNX Runtime, Node.js: they change less often than the sources.
COPY scripts scripts
RUN scripts/setup.sh run

COPY Makefile package.json package-lock.json .npmrc tsconfig.json ./
COPY packages packages
COPY web-demo web-demo
RUN make web

# What .dockerignore lets in.
COPY . .
ARG RIVULET_COMMIT=unknown
RUN RIVULET_COMMIT="$RIVULET_COMMIT" cargo build --release --locked --bin rivulet \
    && strip --strip-debug /target/release/rivulet

FROM ${BASE_IMAGE}
# Root certificates: model servers are asked over TLS. What Debian has mended since the base image was made comes too.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get upgrade -y \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 rivulet \
    && useradd --uid 10001 --gid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin rivulet \
    && install -d -o rivulet -g rivulet -m 700 /data

# Nothing is fetched when it runs.
WORKDIR /opt/rivulet
COPY --from=build /cache/deps/onnxruntime models/onnxruntime
COPY --from=build /cache/deps/all-MiniLM-L6-v2 models/all-MiniLM-L6-v2
COPY sample-knowledge sample-knowledge
COPY LICENSE ./
COPY --from=build /target/release/rivulet /usr/local/bin/rivulet

ARG RIVULET_COMMIT=unknown
LABEL org.opencontainers.image.title="Rivulet" \
      org.opencontainers.image.description="A real-time streaming chat gateway between browsers and language models" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.revision="${RIVULET_COMMIT}"

ENV ENVIRONMENT=production \
    REQUIRE_AUTHENTICATION=true \
    RIVULET_SERVER_BIND=0.0.0.0:8080 \
    RIVULET_SERVER_DATA_DIR=/data \
    RIVULET_KNOWLEDGE_MODEL_DIR=/opt/rivulet/models/all-MiniLM-L6-v2
USER 10001:10001
VOLUME /data
EXPOSE 8080
# Begins to drain.
STOPSIGNAL SIGTERM
# Bash speaks TCP by itself; the image has no curl. With TLS of its own the gateway answers with 400 to who comes without.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["/bin/bash", "-c", \
    "exec 3<>/dev/tcp/127.0.0.1/${RIVULET_SERVER_BIND##*:} && printf 'GET /livez HTTP/1.0\\r\\n\\r\\n' >&3 && read -r line <&3 && [[ $line == *' 200 '* || $line == *' 400 '* ]]"]
ENTRYPOINT ["/usr/local/bin/rivulet"]
CMD ["serve"]
