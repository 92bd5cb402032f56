# One image of any of the services, or of the payment gateway: docker build --build-arg SERVICE=order .
# compose.yaml builds them all; the first stage is shared, so it is built once.

FROM rust:1.95.0-bookworm AS build
# The image has this toolchain; rust-toolchain.toml would have rustup fetch its lints and formatter too.
ENV RUSTUP_TOOLCHAIN=1.95.0
# zlib for librdkafka; gcc, g++ and make are in the image.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends zlib1g-dev \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --release --locked \
      --package order --package payment --package inventory --package shipping --package notification \
      --package gateway \
      --bin order --bin payment --bin inventory --bin shipping --bin notification --bin gateway \
      --features order/process,payment/process,inventory/process,shipping/process,notification/process

FROM debian:bookworm-slim
ARG SERVICE
# zlib and libstdc++ for librdkafka; curl for the health check.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates curl libstdc++6 zlib1g \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin quadrille \
 && install --directory --owner=10001 /var/lib/gateway
COPY --from=build /src/target/release/${SERVICE} /usr/local/bin/service
USER 10001
ENV QUADRILLE_HTTP_ADDRESS=0.0.0.0:8080
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --retries=12 \
  CMD ["curl", "--fail", "--silent", "--output", "/dev/null", "http://127.0.0.1:8080/readyz"]
ENTRYPOINT ["/usr/local/bin/service"]
