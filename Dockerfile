# Pointsman on CPUs: docker build -t pointsman .
# /opt/pointsman is laid out like the repository, so that paths in configurations mean the same in both.
FROM rust:1.95-bookworm AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
WORKDIR /opt/pointsman
COPY Cargo.toml Cargo.lock Makefile ./
COPY .ci .ci
COPY benches benches
COPY config config
COPY crates crates
COPY docs/architecture.md docs/architecture.md
COPY src src
# Compiles with cmake from Debian, fetches ONNX Runtime with its pinned hash, and gathers the licences of what is linked.
RUN make build licences

FROM debian:bookworm-slim
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libstdc++6 \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/pointsman
COPY --from=build /opt/pointsman/target/release/pointsman /usr/local/bin/pointsman
COPY --from=build /opt/pointsman/.tools/libonnxruntime.so.1.31.1 .tools/libonnxruntime.so
COPY --from=build /opt/pointsman/target/licences licences
COPY LICENSE licences/LICENSE
COPY NOTICE licences/NOTICE
COPY config/container.yaml config/container.yaml
COPY models/pointsman-mini models/pointsman-mini
ENV ORT_DYLIB_PATH=/opt/pointsman/.tools/libonnxruntime.so
ENV ORT_TELEMETRY_DISABLED=1
ENV ORT_RUNNING_UNIT_TESTS=1
USER 65532:65532
EXPOSE 8080 9090
LABEL org.opencontainers.image.title="Pointsman" org.opencontainers.image.licenses="Apache-2.0"
# Ready means: the configuration serves. The image has no curl; bash asks by itself.
HEALTHCHECK --interval=10s --timeout=2s --start-period=5s CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/9090 && printf 'GET /readyz HTTP/1.1\\r\\nhost: localhost\\r\\nconnection: close\\r\\n\\r\\n' >&3 && head -n 1 <&3 | grep -q ' 200 '"]
ENTRYPOINT ["pointsman"]
CMD ["serve", "-c", "config/container.yaml", "--log-format", "json"]
