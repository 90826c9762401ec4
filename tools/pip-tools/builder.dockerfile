COPY requirements.in requirements-dev.in requirements.tx[t] requirements-dev.tx[t] pyproject.toml ./
RUN --mount=type=cache,target=/root/.cache/pip --mount=type=secret,id=netrc,target=/root/.netrc \
    PYTHONPATH=src .tools/venv/bin/python .tools/check_lock.py --package {{ package_name }} \
    && .tools/venv/bin/python .tools/install.py --into /opt/venv --production --packages-only
