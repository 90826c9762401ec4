"""Choose a version of everything by pip's resolver, and write it down as a table."""

import csv
import json
import subprocess
import sys

import check_lock
import lock_reader
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def resolved(lines: list[str]) -> dict[str, dict[str, str]]:
    """Return name -> version and digest of what pip would install."""
    report = ("--report", "-", "--dry-run", "--ignore-installed", "--only-binary", ":all:", "--quiet")
    command = [sys.executable, "-m", "pip", "install", *report, *lines]
    told = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return {
        canonicalize_name(item["metadata"]["name"]): {
            "version": item["metadata"]["version"],
            "sha256": item["download_info"]["archive_info"]["hashes"]["sha256"],
        }
        for item in told["install"]
    }


def main() -> None:
    """Write chosen.csv."""
    wanted = lock_reader.asked(check_lock.ROOT)["wanted"]
    runtime = resolved(wanted[""])
    both = resolved([*(f"{name}=={one['version']}" for name, one in runtime.items()), *wanted["dev"]])
    direct = {Requirement(line).name for lines in wanted.values() for line in lines}
    with (check_lock.ROOT / "chosen.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(lock_reader.COLUMNS)
        for name, one in sorted(both.items()):
            table.writerow([name, one["version"], one["sha256"], name in runtime, name in direct])


main()
