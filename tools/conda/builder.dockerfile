# One static program, and the only thing taken from its image: it installs, and stays in this stage.
COPY --from={{ tool.micromamba.image }} /bin/micromamba /usr/local/bin/micromamba
COPY environment.yml environment-dev.yml virtual-packages.yml conda-lock.ym[l] pyproject.toml ./
# conda has its own rule: /opt/venv holds a Python of its own and nearly all C libraries, so that of the base below
# only the C library itself is used, and its Python is not.
RUN --mount=type=cache,target=/root/micromamba/pkgs --mount=type=secret,id=netrc,target=/root/.netrc \
    PYTHONPATH=src .tools/venv/bin/python .tools/check_lock.py --package {{ package_name }} \
    && micromamba create --yes --quiet --always-copy --prefix /opt/venv --file conda-lock.yml --category main \
    && .tools/venv/bin/python .tools/install.py --into /opt/venv --production --compile-only
