# nearcached as a container: built from source on Debian 12, run as nobody in particular on the same base.
# `make image` builds it, with or without a Docker engine.
FROM debian:bookworm-slim AS build
WORKDIR /src
# Dependencies first: they change less often than the code, so their layer is kept.
COPY scripts/deps scripts/deps
RUN scripts/deps build
# Everything .dockerignore lets through: the sources of the daemon and nothing else.
COPY . .
# /out becomes the image: the program and those of its libraries that the base does not have.
RUN cmake -S . -B build -DNEARCACHED_TESTS=OFF && cmake --build build -j "$(nproc)" --target nearcached && \
    scripts/container/stage build/nearcached /out

FROM debian:bookworm-slim
COPY --from=build /out/ /
# The cache of the dynamic linker; the second command proves in this very base that nothing is missing.
RUN ldconfig && nearcached --version
USER 65532:65532
EXPOSE 6380 9380
# SIGTERM drains: what clients have asked for is answered, within drain.timeout.
STOPSIGNAL SIGTERM
# Asks the first listener of the settings in the environment; where --config names another, override this.
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 \
  CMD ["nearcached", "wait", "--timeout", "2s"]
ENTRYPOINT ["nearcached"]
