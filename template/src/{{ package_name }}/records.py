"""The prediction log: one row for each decision, so that it can be traced years later.

`python -m <package>.records ID` prints one. Its model's digest leads to the contract beside that model, and
the contract to the data, the code and the lock of its training. Rows may hold personal data: how long they
are kept, and who reads them, is for you to decide.
"""

import argparse
import json
import logging
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, Connection, DateTime, String, TypeDecorator, create_engine, event, insert, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from .parity.service import UnavailableError
from .settings import get_settings

log = logging.getLogger(__name__)

# What to add for a driver whose package alone is not enough: this one brings PostgreSQL's C library along.
# https://www.psycopg.org/psycopg3/docs/basic/install.html
PACKAGES = {"psycopg": "psycopg[binary]"}


class UtcDateTime(TypeDecorator[datetime]):
    """A time in UTC. SQLite keeps no zone, so it is put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: object) -> datetime | None:
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: object) -> datetime | None:
        return value and (value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC))


class Base(DeclarativeBase):
    """The tables of this project."""


class Prediction(Base):
    """One decision: what was asked, what was answered, and by what."""

    __tablename__ = "predictions"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    model: Mapped[str] = mapped_column(String(64), index=True)  # sha256 of its file, in hex
    environment: Mapped[str] = mapped_column(String(71))  # the signature: "sha256:" and 64 digits
    version: Mapped[str] = mapped_column(String(64))  # of this package
    inputs: Mapped[dict[str, float]] = mapped_column(JSON)
    prediction: Mapped[float]


class PredictionLog:
    """The table of predictions in the database at `url`, for many threads at a time.

    Nothing is connected before the first use. ValueError, in one sentence, for a URL that cannot be used.
    """

    def __init__(self, url: str) -> None:
        try:
            # hide_parameters: errors then name the statement and not its values, which do not belong in a log.
            self._engine = create_engine(make_url(url), hide_parameters=True, pool_pre_ping=True)
        except ArgumentError:
            raise ValueError(
                "DATABASE_URL is no SQLAlchemy URL, such as sqlite:///predictions.db or postgresql://user:password@host/name."
            ) from None
        except ImportError as error:
            # Nameless where the driver is there and its C library is not.
            driver = error.name or make_url(url).get_driver_name()
            wanted = PACKAGES.get(driver)
            repair = "add the package that brings this module"  # which may be called otherwise
            if wanted:
                repair = f"run `make add PKG='{wanted}'`, with conda `make add PKG={driver}`"
            raise ValueError(f"DATABASE_URL needs {driver}: {repair}.") from None
        self._created = False
        if self._engine.dialect.name == "sqlite":
            if self._engine.url.database in {None, "", ":memory:"}:
                raise ValueError("DATABASE_URL is in memory, where nothing can be traced: name a file.")
            event.listen(self._engine, "connect", write_ahead)

    def check(self) -> None:
        """Raise UnavailableError where the database is away; creates the table where there is none."""
        with self._connected() as connection:
            Base.metadata.create_all(connection)
        self._created = True

    def record(
        self, inputs: Sequence[dict[str, float]], predictions: Sequence[float], **made_by: str
    ) -> list[uuid.UUID]:
        """Write what one request asked and was answered, all or nothing; return the ids in the same order.

        `made_by` is `model`, `environment` and `version`, as the table has them. Raises UnavailableError
        where nothing was written: then nothing may be answered either.
        """
        if not self._created:  # the database was away at the start
            self.check()
        now = datetime.now(UTC)
        rows: list[dict[str, Any]] = [
            {"id": uuid.uuid4(), "at": now, "inputs": asked, "prediction": answered, **made_by}
            for asked, answered in zip(inputs, predictions, strict=True)
        ]
        with self._connected() as connection:
            connection.execute(insert(Prediction), rows)
        return [row["id"] for row in rows]

    def find(self, number: uuid.UUID) -> Prediction | None:
        """Return the decision with this id, if there is one; raises UnavailableError."""
        with self._connected() as connection, Session(connection) as session:
            return session.get(Prediction, number)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """Give a connection for one transaction; UnavailableError where the database cannot be used."""
        try:
            with self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            # Its own words may name the host and the user, so they go to the log and not to the client.
            log.error("The prediction log failed: %s", error)  # noqa: TRY400 - no traceback: it is the database
            raise UnavailableError("The prediction log cannot be used now, so no prediction is made.") from None


def write_ahead(connection: Any, _record: object) -> None:  # noqa: ANN401 - whatever the driver gives
    """Let others read while one writes; a commit is still on disk when it returns."""
    # https://www.sqlite.org/wal.html
    connection.execute("PRAGMA journal_mode=WAL")


def main() -> None:
    """Print one decision as JSON; end with 1 and a sentence where there is none."""
    parser = argparse.ArgumentParser(description="Print one recorded prediction.")
    parser.add_argument("id", type=uuid.UUID, help="as /predict answered it")
    number = parser.parse_args().id
    try:
        with closing(PredictionLog(get_settings().database_url.get_secret_value())) as decisions:
            decision = decisions.find(number)
    except (ValueError, UnavailableError) as error:
        sys.exit(str(error))
    if decision is None:
        sys.exit(f"No prediction {number} was recorded here: is DATABASE_URL the one of the service?")
    row = {column.name: getattr(decision, column.name) for column in Prediction.__table__.columns}
    sys.stdout.write(json.dumps(row, indent=2, default=str) + "\n")


if __name__ == "__main__":
    main()
