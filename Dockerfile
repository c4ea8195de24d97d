# realtime_kp in a container.
#
#   docker build -t realtime-kp .                             CPU only, small
#   docker build -t realtime-kp:cuda --build-arg TORCH=cuda . for docker run --gpus all
#
# docker run --rm -v "$PWD:/work" realtime-kp video walk.mp4 --tracks walk.csv
FROM python:3.12-slim-bookworm AS build

ARG TORCH=cpu
ARG EXTRAS=web,parquet
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY realtime_kp ./realtime_kp
RUN python -m venv /opt/realtime_kp \
    && if [ "$TORCH" = cpu ]; then \
        /opt/realtime_kp/bin/pip install --no-cache-dir torch --index-url https://download.pytorch.org/whl/cpu; \
    fi \
    && /opt/realtime_kp/bin/pip install --no-cache-dir ".[$EXTRAS]"

FROM python:3.12-slim-bookworm

# OpenCV needs them even where no window is opened.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 libxcb1 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/realtime_kp /opt/realtime_kp
RUN useradd --create-home --uid 1000 tracker
USER 1000
WORKDIR /work
EXPOSE 8000
ENTRYPOINT ["/opt/realtime_kp/bin/realtime-kp"]
CMD ["--help"]
