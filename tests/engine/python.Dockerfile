# Stand-in for python:X.Y.Z-slim-SUITE: Debian's own packages and a CPython that pyenv compiled.
FROM scratch AS debian
ADD debian.tar /

FROM debian
ARG VERSION
ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 PYTHON_VERSION=$VERSION
ADD python.tar /usr/local
RUN --network=none ldconfig && python3 -B -c "import bz2, ctypes, lzma, readline, sqlite3, ssl, uuid, zlib"
# This machine's certificate authorities, which the official image lacks: its package index may be behind one.
# Programs that bring a bundle of their own (uv, pip, requests) must be told.
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
    REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt
# The tests' own index speaks http, which pip takes from loopback only.
ENV PIP_TRUSTED_HOST=172.17.0.1
CMD ["python3"]
