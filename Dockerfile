# The images of the operator and of the workers.
#
#   docker build --target operator -t kafka-orchestrator/operator:dev .
#   docker build --target worker   -t kafka-orchestrator/worker:dev .
#
# The second build takes the binaries from the first. Needs BuildKit (Docker 23 or newer), Podman 4 or Buildah 1.24 for
# the cache mounts. Both base images can be replaced, for example by a mirror of your own.
ARG RUST_IMAGE=rust:1.95-bookworm
ARG BASE_IMAGE=debian:bookworm-slim

FROM ${RUST_IMAGE} AS build
# release, or dev: quicker to build, slower to run.
ARG PROFILE=release
WORKDIR /src
COPY . .
# The caches keep downloaded and built dependencies between builds, also when Cargo.lock changes. Cargo goes by file
# times, and a checkout may be older than the cache: the sources are touched, so that our own crates are always built.
# Building OpenSSL and librdkafka takes gcc, g++, make and perl, which the base image has.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    find . -path ./target -prune -o -name '*.rs' -exec touch {} + \
 && cargo build --locked --profile "$PROFILE" --package orch-operator --package orch-workers --bins \
 && folder=target/$([ "$PROFILE" = dev ] && echo debug || echo "$PROFILE") \
 && mkdir /out \
 && cp "$folder/orch-operator" "$folder/orch-worker" /etc/ssl/certs/ca-certificates.crt /out/

FROM ${BASE_IMAGE} AS base
# An entry in /etc/passwd: without it a pod that sets only runAsUser would run with group 0.
RUN echo 'nonroot:x:65532:' >> /etc/group \
 && echo 'nonroot:x:65532:65532::/nonexistent:/usr/sbin/nologin' >> /etc/passwd
LABEL org.opencontainers.image.source="https://github.com/kafka-orchestrator/kafka-orchestrator" \
      org.opencontainers.image.licenses="Apache-2.0"
# The authorities that public servers are signed by: brokers with such a certificate, https of the http processor.
COPY --from=build /out/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
USER 65532:65532

# Has a shell and the usual tools, for the exec processor. For programs of your own: FROM this image, then COPY them.
FROM base AS worker
COPY --from=build /out/orch-worker /orch-worker
EXPOSE 8081
ENTRYPOINT ["/orch-worker"]

# Last, and so what a build without --target gives.
FROM base AS operator
COPY --from=build /out/orch-operator /orch-operator
EXPOSE 8080
ENTRYPOINT ["/orch-operator"]
