COPY pyproject.toml uv.toml uv.lock ./
ENV UV_COMPILE_BYTECODE=1 \
    UV_PROJECT_ENVIRONMENT=/opt/venv \
    UV_PYTHON=/usr/local/bin/python
RUN --mount=type=cache,target=/root/.cache/uv --mount=type=secret,id=netrc,target=/root/.netrc \
    PYTHONPATH=src .tools/venv/bin/python .tools/check_lock.py --package {{ package_name }} -- .tools/venv/bin/uv lock --check \
    && .tools/venv/bin/uv sync --locked --no-dev --no-install-project
COPY README.md ./
COPY src/ src/
RUN --mount=type=cache,target=/root/.cache/uv \
    .tools/venv/bin/uv sync --locked --no-dev --no-editable && rm -f /opt/venv/.lock \
    && PYTHONPATH=src .tools/venv/bin/python .tools/check_lock.py --package {{ package_name }} --write /opt/venv/parity-lock.json --production
