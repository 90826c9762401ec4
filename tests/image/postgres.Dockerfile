# Stand-in for docker.io/library/postgres, as far as compose.yaml uses it: Debian's PostgreSQL with the user, the folders and
# the first start of https://github.com/docker-library/postgres/blob/master/18/trixie/Dockerfile
ARG PYTHON_IMAGE
FROM ${PYTHON_IMAGE}
RUN groupadd --system --gid=999 postgres && useradd --system --gid=postgres --uid=999 postgres \
    && apt-get update -qq && apt-get install -qq --yes --no-install-recommends postgresql >/dev/null \
    && rm -rf /var/lib/postgresql /var/lib/apt/lists/* && ln -s /usr/lib/postgresql/*/bin/* /usr/local/bin/ \
    && install --directory --owner=postgres --group=postgres --mode=1777 /var/lib/postgresql \
    && install --directory --owner=postgres --group=postgres --mode=3777 /var/run/postgresql
ENV PGDATA=/var/lib/postgresql/18/docker
VOLUME /var/lib/postgresql
COPY --chmod=755 <<'SH' /entrypoint.sh
#!/bin/sh
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    : "${POSTGRES_PASSWORD:?}"
    echo "$POSTGRES_PASSWORD" >/tmp/password
    initdb --username="$POSTGRES_USER" --pwfile=/tmp/password --auth-local=trust --auth-host=scram-sha-256
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
    pg_ctl --wait --options="-c listen_addresses=''" start
    createdb --username="$POSTGRES_USER" "$POSTGRES_USER"
    pg_ctl --wait stop
fi
exec postgres -c listen_addresses='*'
SH
ENTRYPOINT ["/entrypoint.sh"]
STOPSIGNAL SIGINT
