COPY pyproject.toml poetry.toml poetry.loc[k] ./
# Poetry installs into the environment that is activated.
ENV POETRY_NO_INTERACTION=1 \
    VIRTUAL_ENV=/opt/venv
# Not `poetry check`: it asks for the README, which comes later. `poetry sync` refuses a stale lock as well.
RUN --mount=type=cache,target=/root/.cache/pypoetry --mount=type=secret,id=netrc,target=/root/.netrc \
    PYTHONPATH=src .tools/venv/bin/python .tools/check_lock.py --package {{ package_name }} \
    && python -m venv --without-pip /opt/venv \
    && .tools/venv/bin/poetry sync --only main --no-root --no-directory \
    && .tools/venv/bin/python .tools/install.py --into /opt/venv --production --compile-only
