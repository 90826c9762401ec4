# uv carries the backend that builds the project, so nothing is fetched. What it notes for its own cache has a time in it.
RUN .tools/venv/bin/uv build --quiet --offline --wheel --out-dir /opt/wheel \
    && .tools/venv/bin/uv pip install --quiet --offline --no-deps --python /opt/venv --prefix /opt/project /opt/wheel/*.whl \
    && find /opt/project -name uv_cache.json -delete && rm -f /opt/project/.lock \
    && find /opt/project -name RECORD -exec sed -i '/uv_cache.json/d' {} + \
    && /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash -s /opt/project -p /opt/venv /opt/project/lib \
