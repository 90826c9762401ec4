COPY needs.txt needs-dev.txt chosen.csv pyproject.toml ./
RUN .tools/venv/bin/python .tools/install.py --into /opt/venv --production --packages-only
