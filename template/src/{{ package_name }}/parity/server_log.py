"""The service's log: one JSON object a line on stdout, and at most one line a request.

https://12factor.net/logs
"""

import json
import logging
from datetime import UTC, datetime
from logging.config import dictConfig
from typing import Any

PROBES = {"/healthz", "/readyz"}  # asked every few seconds for years: worth a line only when they fail
ENCODER = json.JSONEncoder(ensure_ascii=False)  # made once: json.dumps would make one for each line


class JsonLines(logging.Formatter):
    """Writes a record as one line. No header and no body is in it: they hold the key and people's data."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            **(request_of(record) or {"message": record.getMessage()}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return ENCODER.encode(line)


def request_of(record: logging.LogRecord) -> dict[str, Any] | None:
    """Return what uvicorn's access log tells of a request, without the query, where people put secrets."""
    if record.name != "uvicorn.access" or not isinstance(record.args, tuple):
        return None
    client, method, path, _, status = record.args
    return {"client": client, "method": method, "path": str(path).partition("?")[0], "status": status}


def worth_a_line(record: logging.LogRecord) -> bool:
    """Tell whether a record is to be written: a probe that succeeded is not."""
    request = request_of(record)
    return request is None or request["path"] not in PROBES or request["status"] != 200  # noqa: PLR2004


def configure_logging(level: str) -> None:
    """Send every log of the process to stdout as JSON lines, from `level` on."""
    dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"json": {"()": JsonLines}},
            "filters": {"requests": {"()": lambda: worth_a_line}},
            "handlers": {
                "stdout": {
                    "class": "logging.StreamHandler",
                    "stream": "ext://sys.stdout",
                    "formatter": "json",
                    "filters": ["requests"],
                }
            },
            "root": {"level": level, "handlers": ["stdout"]},
        }
    )
