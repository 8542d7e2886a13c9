# docker build --build-arg RIVULET_COMMIT="$(git rev-parse --short=12 HEAD)" -t rivulet .
# docker run --rm -p 127.0.0.1:8080:8080 -v rivulet-data:/data --stop-timeout 40 rivulet
#
# --stop-timeout: answers get 30 seconds to finish (RIVULET_SERVER_DRAIN_S), and Docker kills after 10 by itself.
# Nobody has to say who they are unless RIVULET_AUTH_REQUIRED is set: publish the port to loopback, or behind something
# that asks. Until then the gateway answers to localhost and to addresses; a name of its own has to be listed:
#   -e RIVULET_SERVER_ALLOWED_ORIGINS=http://chat.lan:8080

FROM rust:1.95-bookworm AS build
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]
ENV RIVULET_CACHE=/cache CARGO_TARGET_DIR=/target
WORKDIR /rivulet

# System packages, the embedding model, ONNX Runtime, Node.js: they change less often than the sources.
COPY scripts scripts
RUN scripts/setup.sh run

COPY Makefile ./
COPY web-demo web-demo
RUN make web

# What .dockerignore lets in.
COPY . .
ARG RIVULET_COMMIT=unknown
RUN RIVULET_COMMIT="$RIVULET_COMMIT" cargo build --release --locked --bin rivulet \
    && strip --strip-debug /target/release/rivulet

FROM debian:bookworm-slim
# Root certificates: model servers are asked over TLS.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 rivulet \
    && useradd --uid 10001 --gid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin rivulet \
    && install -d -o rivulet -g rivulet /data

WORKDIR /opt/rivulet
COPY --from=build /cache/deps/onnxruntime models/onnxruntime
COPY --from=build /cache/deps/all-MiniLM-L6-v2 models/all-MiniLM-L6-v2
COPY sample-knowledge sample-knowledge
COPY LICENSE ./
COPY --from=build /target/release/rivulet /usr/local/bin/rivulet

ENV RIVULET_SERVER_BIND=0.0.0.0:8080 \
    RIVULET_SERVER_DATA_DIR=/data \
    RIVULET_KNOWLEDGE_MODEL_DIR=/opt/rivulet/models/all-MiniLM-L6-v2 \
    RIVULET_KNOWLEDGE_PRELOAD=sample-knowledge
USER 10001:10001
VOLUME /data
EXPOSE 8080
# Bash speaks TCP by itself; the image has no curl.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["/bin/bash", "-c", \
    "exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET /livez HTTP/1.0\\r\\n\\r\\n' >&3 && read -r line <&3 && [[ $line == *' 200 '* ]]"]
ENTRYPOINT ["/usr/local/bin/rivulet"]
CMD ["serve"]
