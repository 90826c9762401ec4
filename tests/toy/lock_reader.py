"""Reads the toy's needs and its table."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NAME = "toy"
MANIFESTS = ("needs.txt", "needs-dev.txt")
LOCKS = ("chosen.csv",)
COLUMNS = ("name", "version", "sha256", "runtime", "direct")
Entry = dict[str, Any]


def read(root: Path, name: str) -> list[str]:
    """Return the lines of a file that are no comments."""
    return [line for line in (root / name).read_text(encoding="utf-8").splitlines() if not line.startswith("#")]


def _rows(root: Path) -> list[Entry]:
    return list(csv.DictReader(read(root, "chosen.csv")))


def locked(root: Path, environment: Mapping[str, str]) -> list[Entry]:
    """Return the packages; the table is for one environment."""
    del environment
    return [
        {
            "name": row["name"],
            "version": row["version"],
            "hashes": [row["sha256"]],
            "groups": ["main", "dev"] if row["runtime"] == "True" else ["dev"],
            "direct": row["direct"] == "True",
        }
        for row in _rows(root)
    ]


def entries(root: Path) -> list[Entry]:
    """Return every row."""
    return [
        {
            "name": row["name"],
            "version": row["version"],
            "folder": None,
            "commit": None,
            "addresses": [],
            "files": [{"address": "", "hash": f"sha256:{row['sha256']}"}],
        }
        for row in _rows(root)
    ]


def asked(root: Path) -> dict[str, Any]:
    """Return what is needed, as PEP 508 has it."""
    lines = {
        group: [line.replace(":", "") for line in read(root, name)]
        for group, name in zip(("", "dev"), MANIFESTS, strict=True)
    }
    return {"wanted": lines}
