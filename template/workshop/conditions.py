"""What must be true when an exercise is solved, by the sentence that says so: exercises.json names them.

Each returns "" where it is true, else what is there instead. None says how to get it right: that is the exercise.
"""

import hashlib
import json
import re
from collections.abc import Callable

from .repository import (
    ANSWER,
    BEFORE,
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
    locked,
    run,
    verified,
)

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


def wanted(name: str) -> str:
    """Look for a requirement in the manifest."""
    file = RENDERED["by_hand"]["file"]
    held = re.search(rf"^[\W_]*{re.escape(name)}(?![\w.-])", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE)
    return "" if held else f"{file} does not"


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
}
