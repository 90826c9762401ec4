COPY needs.txt needs-dev.txt chosen.csv pyproject.toml README.md ./
COPY src/ src/
RUN .tools/venv/bin/python .tools/install.py --into /opt/venv --production \
    && PYTHONPATH=src .tools/venv/bin/python .tools/check_lock.py --package {{ package_name }} --write /opt/venv/parity-lock.json --production
