# The workflow and its locked environment: docker build --tag perturb . (envs/README.md)
FROM debian:bookworm-slim

RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates git make python3-venv \
 && rm -rf /var/lib/apt/lists/*

COPY . /opt/perturb
RUN PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1 make --directory=/opt/perturb env \
 && git config --system --add safe.directory /opt/perturb

ENV PATH=/opt/perturb/.venv/bin:$PATH
WORKDIR /work
CMD ["perturb", "--help"]
