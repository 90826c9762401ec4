"""`make break-3`, `make check-3`, `make reset-3`: one exercise at a time, and nothing of yours is lost."""

import argparse
import re
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from .breaks import BREAKS
from .conditions import CONDITIONS
from .offline import record
from .repository import HERE, RENDERED, WorkshopError, changed, data, keep, must, noted, put_back, verified

Exercise = dict[str, Any]  # an entry of exercises.json

EXERCISES: list[Exercise] = data("exercises.json")
# The commands below the word Solution on a page.
SOLUTION = re.compile(r"<summary>Solution</summary>\n\n```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def exercise(number: int) -> Exercise:
    """Return an exercise by its number; WorkshopError where there is none."""
    if not 1 <= number <= len(EXERCISES):
        raise WorkshopError(f"There is no exercise {number}: choose from 1 to {len(EXERCISES)} (`make workshop`).")
    return EXERCISES[number - 1]


def broken() -> int:
    """Return the number of the exercise that is broken now, 0 where none is."""
    return int(noted().get("number", 0))


def show(_: Sequence[int]) -> int:
    """Print the exercises, and which one is broken now."""
    for number, one in enumerate(EXERCISES, 1):
        needs = f", needs {', '.join(one['needs'])}" if one["needs"] else ""
        here = "   <- broken now" if number == broken() else ""
        print(f"  {number:2}  {one['title']} ({one['minutes']} minutes{needs}){here}")
    print("\nRead workshop/README.md; then `make break-1`, `make check-1`, `make reset-1`.")
    return 0


def require_whole() -> None:
    """Raise WorkshopError where there is something that a reset could not put back."""
    if number := broken():
        raise WorkshopError(f"Exercise {number} is still broken: `make reset-{number}` puts all back.")
    if files := changed():
        raise WorkshopError(f"{files.rstrip()}\nNot committed, so it would mix with the exercise: commit it first.")
    if told := verified():
        raise WorkshopError(f"{told.rstrip()}\nStart from a green chain with a model: `make setup train`.")


def break_it(numbers: Sequence[int]) -> int:
    """Break what the exercise is about; where that fails, put all back."""
    number = numbers[0]
    one = exercise(number)
    require_whole()
    keep(number)
    try:
        for name, *words in one["break"]:
            BREAKS[name](*(word.replace("{older}", RENDERED["older"]) for word in words))
    except WorkshopError as error:
        put_back()
        raise WorkshopError(f"{error}\nNothing is broken: exercise {number} could not be made.") from None
    print(f"Exercise {number} is broken: {one['title']}.")
    print(f"Read workshop/{one['page']}, see it, fix it; then `make check-{number}`.")
    return 0


def require_broken(number: int) -> None:
    """Raise WorkshopError where it is not this exercise that is broken."""
    exercise(number)
    if not broken():
        raise WorkshopError(f"Exercise {number} is not broken yet: `make break-{number}` does it.")
    if broken() != number:
        raise WorkshopError(f"It is exercise {broken()} that is broken: `make check-{broken()}`, or reset it first.")


def check_it(numbers: Sequence[int]) -> int:
    """Print each condition and whether it is met; 1 where one is not."""
    number = numbers[0]
    require_broken(number)
    open_ones = 0
    for name, *words in exercise(number)["conditions"]:
        told = CONDITIONS[name](*words)
        open_ones += bool(told)
        print(f"  [{' ' if told else 'x'}] {name.format(*words)}{': ' if told else ''}{told}")
    after = f"Not yet: {open_ones} to go." if open_ones else f"Solved. `make reset-{number}` puts all back."
    print(f"\n{after}")
    return 1 if open_ones else 0


def reset_it(numbers: Sequence[int]) -> int:
    """Put all back, and say where what was changed is kept."""
    number = numbers[0]
    require_broken(number)
    stashed = put_back()
    if told := verified() or changed():
        raise WorkshopError(f"{told.rstrip()}\nThe files are as before, and this is left: `make setup train`.")
    kept = " What you had changed is in `git stash list`." if stashed else ""
    print(f"All is as it was before exercise {number}: git is clean and verify is green.{kept}")
    return 0


def rehearse(numbers: Sequence[int]) -> int:
    """Do exercises (none named: all) as their pages solve them; WorkshopError where a check is wrong."""
    for number in numbers or range(1, len(EXERCISES) + 1):
        begun = time.monotonic()
        break_it([number])
        if check_it([number]) == 0:
            raise WorkshopError(f"Exercise {number} passes before anything is mended.")
        page = (HERE / exercise(number)["page"]).read_text(encoding="utf-8")
        for commands in SOLUTION.findall(page):
            must("sh", "-ec", commands)
        if check_it([number]):
            raise WorkshopError(f"Exercise {number} is not solved by its page.")
        reset_it([number])
        print(f"Exercise {number} took {time.monotonic() - begun:.0f} s.\n")
    return 0


def offline(numbers: Sequence[int]) -> int:
    """Rehearse (none named: what a folder can serve), and keep in workshop/offline what that took from the network."""
    require_whole()
    served = [number for number, one in enumerate(EXERCISES, 1) if "template" not in one["needs"]]
    with record():
        return rehearse(numbers or served)


COMMANDS: dict[str, Callable[[Sequence[int]], int]] = {
    "list": show,
    "break": break_it,
    "check": check_it,
    "reset": reset_it,
    "rehearse": rehearse,
    "offline": offline,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0, 1 where a check is not met, 2 with one sentence where it cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m workshop", description=__doc__)
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("numbers", nargs="*", type=int, metavar="N", help="of exercises")
    options = parser.parse_args(arguments)
    if options.command in {"break", "check", "reset"} and len(options.numbers) != 1:
        parser.error("name one exercise by its number, as in: break 3")
    try:
        return COMMANDS[options.command](options.numbers)
    except WorkshopError as error:
        print(error, file=sys.stderr)
    except KeyboardInterrupt:
        return 130  # 128 + SIGINT, as shells have it
    return 2


if __name__ == "__main__":
    sys.exit(main())
