COPY pyproject.toml uv.toml uv.loc[k] ./
ENV UV_PROJECT_ENVIRONMENT=/opt/venv \
    UV_PYTHON=/usr/local/bin/python
RUN --mount=type=cache,target=/root/.cache/uv --mount=type=secret,id=netrc,target=/root/.netrc \
    PYTHONPATH=src .tools/venv/bin/python .tools/check_lock.py --package {{ package_name }} -- .tools/venv/bin/uv lock --check \
    && .tools/venv/bin/uv sync --locked --no-dev --no-install-project \
    && rm -f /opt/venv/.lock
# Compiled by hash and one after the other: the same bytes in each build, which uv's own workers do not give. A package
# may carry a file that is no Python of this version, such as a template. https://github.com/astral-sh/uv/issues/10619
RUN /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/venv/lib >/dev/null || true
