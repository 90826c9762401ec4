"""What must be true when an exercise is solved, by the sentence that says so: exercises.json names them.

Each returns "" where it is true, else what is there instead. None says how to get it right: that is the exercise.
"""

import hashlib
import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import dated, sizes
from .repository import (
    ANSWER,
    BEFORE,
    HERE,
    INSTALLED,
    MODEL,
    PACKAGE,
    PARITY,
    PYTHON,
    REBUILT,
    RENDERED,
    ROOT,
    SOURCE,
    TOOL,
    WorkshopError,
    is_for,
    locked,
    run,
    verified,
)

# What of the libraries the image's build would miss here.
MISSING = """
import importlib, pathlib, sys
needs = importlib.import_module(f"{sys.argv[1]}.parity.needs")
print(*sorted({finding.name for finding in needs.missing_libraries(pathlib.Path(sys.prefix))}))
"""
# The one draw of training.py: comparing it takes a second, two trainings half a minute.
SPLIT = """
import importlib, sys
training, seeding = (importlib.import_module(f"{sys.argv[1]}.{name}") for name in ("training", "parity.seeding"))
seeding.set_global_determinism(42)
print([rows.tolist() for rows in training.split(1000)])
"""
# https://docs.docker.com/build/building/best-practices/; each is a pattern and whether it may be found.
DOCKERFILE = {
    "base is pinned by digest": (r"^(?:FROM|ARG \w+=)\S*\s*\S*@sha256:[0-9a-f]{64}", True),
    "packages come from the lock": (r"pip-compile|pip install (?!.*(?:--require-hashes|--no-deps))|--user\b", False),
    "files are named, not a whole folder": (r"^(?:COPY|ADD) \. ", False),
    "secrets are not in a layer": (r"^(?:ENV|ARG) .*(?:KEY|PASSWORD|TOKEN|SECRET)\w*[= ]", False),
    "C library is the one of the wheels": (r"^(?:FROM|ARG \w+=)\S*\s*\S*(?:alpine|musl)", False),
    "user is not root": (r"^USER (?!root\b|0\b)\w", True),
}


def green() -> str:
    """Prove the chain, and name what it says where it is broken."""
    return verified() and "`make verify` says otherwise, or there is no model (`make train`)"


def same_signature() -> str:
    """Compare the environment's signature with that of the lock before the exercise."""
    wanted = json.loads((BEFORE / INSTALLED).read_text(encoding="utf-8"))["signature"]
    found = run(*PARITY, "signature").stdout.strip() if (ROOT / PYTHON).exists() else "nothing"
    return "" if found == wanted else f"it is {found[:19]} and was {wanted[:19]}"


def committed_lock() -> str:
    """Compare the lock with the commit."""
    differs = run("git", "diff", "--name-only", "HEAD", "--", *TOOL["locks"]).stdout.split()
    return f"{', '.join(differs)} differs" if differs else ""


def answered(*words: str) -> str:
    """Compare the words of workshop/answer.txt with those that are right."""
    if not ANSWER.is_file():
        return "workshop/answer.txt is not there: write it as the page says"
    given, wanted = set(ANSWER.read_text(encoding="utf-8").replace(",", " ").split()), set(words)
    too_much = f", and {len(given - wanted)} of yours are none" if given - wanted else ""
    return "" if given == wanted else f"it names {len(given & wanted)} of {len(wanted)}{too_much}"


def held(name: str, file: Path) -> bool:
    """Tell whether a list of requirements, of whatever form, has one of that name."""
    return file.is_file() and any(is_for(name, line) for line in file.read_text(encoding="utf-8").splitlines())


def wanted(name: str) -> str:
    """Look for a requirement in the manifest."""
    file = RENDERED["by_hand"]["file"]
    return "" if held(name, ROOT / file) else f"{file} does not"


def installed(name: str) -> str:
    """Look for a package in the lock that was installed last."""
    return "" if name in locked(ROOT / INSTALLED) else "it is not"


def moved(*allowed: str) -> str:
    """Name what has another version than before the exercise, but for what may."""
    before, now = locked(BEFORE / INSTALLED), locked(ROOT / INSTALLED)
    names = {name for name in before | now if before.get(name) != now.get(name)} - set(allowed)
    return f"these did: {', '.join(sorted(names))}" if names else ""


def at_least(name: str, version: str) -> str:
    """Compare the locked version with the first one that is mended."""
    found = locked(ROOT / INSTALLED).get(name, "absent")
    numbers = [tuple(map(int, re.findall(r"\d+", text))) for text in (found, version)]
    return "" if numbers[0] >= numbers[1] else f"it is {found}"


def settings_hold(environment: str) -> str:
    """Ask the kit whether a start with these settings would be refused."""
    done = run(*PARITY, "settings", "--check", "--env", environment)
    return done.stdout.strip() if done.returncode else ""


def ignored(name: str) -> str:
    """Ask git whether it would leave a file out of a commit."""
    seen = run("git", "check-ignore", "--quiet", name).returncode
    return "it would be committed" if seen or run("git", "ls-files", name).stdout else ""


def strict() -> str:
    """Ask the settings whether the model's contract is checked in full."""
    done = run(*PARITY, "settings", "--json")
    rows = json.loads(done.stdout).get("settings", []) if done.returncode == 0 else []
    found = next((row["value"] for row in rows if row["name"] == "MODEL_POLICY"), "not known")
    return "" if found == "strict" else f"it is {found}"


def same_model() -> str:
    """Compare the model's file with that of before the exercise."""
    digests = [
        hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "nothing"
        for path in (BEFORE / MODEL, ROOT / MODEL)
    ]
    return "" if digests[0] == digests[1] else f"it is {digests[1][:12]} and was {digests[0][:12]}"


def training_has(text: str) -> str:
    """Look for a text in training.py."""
    return "" if text in (SOURCE / "training.py").read_text(encoding="utf-8") else "it has not"


def seeded_by_the_kit() -> str:
    """Ask ruff for calls that the house rules forbid."""
    done = run(PYTHON, "-m", "ruff", "check", "--select", "TID251", "--output-format", "concise", "src")
    return "; ".join(re.findall(r"^src.*", done.stdout, re.MULTILINE)) if done.returncode else ""


def split(hash_seed: str) -> str:
    """Return the rows to learn from and those held out, as training.py draws them in a fresh process."""
    return run(PYTHON, "-c", SPLIT, PACKAGE, variables={"PYTHONHASHSEED": hash_seed}).stdout


def split_repeats() -> str:
    """Draw them under two hash seeds: the order of a set of strings is another in each."""
    return "" if (one := split("1")) == split("2") and "Traceback" not in one else "they are not"


def dockerfile(rule: str) -> str:
    """Read the Dockerfile as one line for each instruction, and look for what a rule is about."""
    pattern, wanted_there = DOCKERFILE[rule]
    text = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    return "" if bool(re.search(pattern, lines, re.MULTILINE)) == wanted_there else "not yet"


def listed() -> str:
    """Look for what the list of before named."""
    names = (HERE / dated.LIST.name).read_text(encoding="utf-8").split()
    lost = [name for name in names if not held(name, dated.LIST)]
    return f"it lost {', '.join(lost)}" if lost else ""


def hashed() -> str:
    """Look for what in the list no hash proves."""
    return ", ".join(dated.without_hash()) if dated.LIST.is_file() else f"there is no {dated.LIST.name}"


def same_on(*days: str) -> str:
    """Resolve the list on each day, and compare what it gives."""
    try:
        signatures = [dated.signature(dated.resolved(day))[:19] for day in days]
    except WorkshopError as error:
        return f"on one of them it gives nothing\n{error}"
    return "" if len({*signatures}) == 1 else f"it gives {' and '.join(signatures)}"


def library_found(name: str) -> str:
    """Ask the guard of the image's build for libraries of that name that this environment lacks."""
    done = run(PYTHON, "-c", MISSING, PACKAGE)
    lacking = [library for library in done.stdout.split() if library.startswith(name)]
    return "" if done.returncode == 0 and not lacking else f"missing: {', '.join(lacking) or done.stdout.strip()}"


def same_shipped() -> str:
    """Name what production has now and had not before the exercise, or the other way round."""
    differs = sizes.shipped() ^ sizes.shipped(BEFORE)
    return f"these differ: {', '.join(sorted(differs))}" if differs else ""


def fits(megabytes: str) -> str:
    """Compare the answer with what the production part weighs."""
    return answered("zip" if sizes.together() <= int(megabytes) else "container")


def other_tool(name: str) -> str:
    """Compare the tool that a copy is rendered for with the one here."""
    return "" if copied_tool(name)["name"] != TOOL["name"] else f"it is {TOOL['name']}, as here"


def copied_tool(name: str) -> dict[str, Any]:
    """Return what a copy says of its tool; of the tool here where there is no copy."""
    file = REBUILT / name / "src" / PACKAGE / "parity" / "pins.toml"
    return dict(tomllib.loads(file.read_text(encoding="utf-8"))["tool"]) if file.is_file() else TOOL


def wanted_there(name: str, requirement: str) -> str:
    """Look for a requirement in the manifest of a copy, whichever tool it has."""
    files = [REBUILT / name / file for file in copied_tool(name)["manifests"]]
    return "" if any(held(requirement, file) for file in files) else f"{', '.join(map(str, files))} do not"


def committed_there(name: str) -> str:
    """Ask git what is not committed in a copy."""
    return run("git", "-C", REBUILT / name, "status", "--porcelain").stdout.strip()


def green_there(name: str) -> str:
    """Prove the chain in a copy: all but a model, which git does not keep."""
    done = run(REBUILT / name / PYTHON, "-m", f"{PACKAGE}.parity", "verify")
    return done.stdout.strip() if done.returncode else ""


def answers_again(model: str) -> str:
    """Ask each environment that was rebuilt whether this model's contract holds there."""
    variables = {"MODEL_PATH": str(ROOT / model), "MODEL_POLICY": "strict"}
    for folder in REBUILT.glob("*"):
        done = run(folder / PYTHON, "-m", f"{PACKAGE}.parity", "verify", "--json", variables=variables)
        if done.returncode == 0:
            return ""
    return "no environment is there in which it would"


CONDITIONS: dict[str, Callable[..., str]] = {
    "verify is green": green,
    "the signature is the one of before": same_signature,
    "the lock is the committed one": committed_lock,
    "your answer is right": answered,
    "the manifest still asks for {}": wanted,
    "{} is in the lock that is installed": installed,
    "nothing but {} moved in the lock": moved,
    "nothing moved in the lock": moved,
    "{} is at least {}": at_least,
    "the settings of {} hold": settings_hold,
    "git does not see {}": ignored,
    "MODEL_POLICY is strict": strict,
    "the model is the one of before": same_model,
    "training.py has {}": training_has,
    "no line of src seeds by itself": seeded_by_the_kit,
    "the rows are split alike in every process": split_repeats,
    "the image's {}": dockerfile,
    "{} answers as it did": answers_again,
    "the list still names what it named": listed,
    "all that the list names has a hash": hashed,
    "the list gives the same on {} and on {}": same_on,
    "{} is where it is needed": library_found,
    "production has what it had": same_shipped,
    "your answer fits the {} MB of a zip": fits,
    "the copy {} has another tool": other_tool,
    "the copy {} still asks for {}": wanted_there,
    "all of the copy {} is committed": committed_there,
    "verify is green in the copy {}": green_there,
}
