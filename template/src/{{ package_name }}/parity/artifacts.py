"""What a lock says about one downloaded file: its digest, where it comes from, what its name claims."""

import re

from .lock import canonical

ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#\\]*)")


def sha256(text: str) -> str:
    """Return the hex digest in `sha256:…`, "" where that is something else."""
    found = re.fullmatch(r"sha256:([0-9a-f]{64})", text)
    return found[1] if found else ""


def origin(address: str) -> str:
    """Return scheme://host[:port] of an address without its credentials, "" where it is a path."""
    found = ADDRESS.match(address)
    return f"{found[1]}://{found[2].rpartition('@')[2]}".lower() if found else ""


def file_name(address: str) -> str:
    """Return the file's name at the end of an address or a path."""
    name = re.split(r"[?#]", address)[0].rpartition("/")[2]
    if "%" not in name:
        return name
    from urllib.parse import unquote  # noqa: PLC0415 - local versions only: 2.15.0%2Bcpu

    return unquote(name)


def claims(file: str, name: str, version: str) -> bool:
    """Tell whether a wheel's file name holds this name and version; other files follow no rule.

    https://packaging.python.org/en/latest/specifications/binary-distribution-format/#file-name-convention
    """
    if not file.endswith(".whl"):
        return True
    own_name, own_version = [*file.split("-"), ""][:2]
    return canonical(own_name) == canonical(name) and same_version(own_version, version)


def same_version(one: str, other: str) -> bool:
    """Tell whether two spellings are one version: 1.0 and 1.0.0 are."""
    if one == other:
        return True
    from packaging.version import InvalidVersion, Version  # noqa: PLC0415 - rarely spelled in two ways

    try:
        return Version(one) == Version(other)
    except InvalidVersion:
        return False
