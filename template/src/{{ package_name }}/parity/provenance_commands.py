"""What `parity contract` prints: where a model comes from, and whether it may be served here."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from .materials import POLICIES
from .provenance import ModelRefused, check_contract, load_model, model_path, read_contract
from .statement import Contract, ContractError

SECTIONS = ("data", "seed", "parameters", "metrics")


def repeat(path: Path, policy: str) -> list[str]:
    """Repeat the golden predictions with the project's own code; return why the model is refused."""
    from .. import model  # noqa: PLC0415, TID252 - runs the project's code and its framework: only when asked

    try:
        load_model(path, load=model.load, predict=model.predict, policy=policy)
    except ModelRefused as refused:
        return list(refused.reasons)
    return []


def lines(contract: Contract) -> Iterator[str]:
    """Yield what a person wants to know of a model, one line for each field."""
    commit, dirty = contract.at("code.commit"), contract.at("code.dirty")
    yield f"model        sha256 {contract.sha256}"
    yield f"class        {contract.at('model.class')}"
    yield f"created      {contract.at('created')}"
    yield f"code         {commit or 'no commit'}{' with uncommitted changes' if dirty else ''}"
    yield f"template     {contract.at('template') or 'unknown'}"
    yield f"lock         {contract.at('lock.name')}, sha256 {contract.at('lock.digest.sha256')}"
    yield f"environment  {contract.at('environment.signature')}"
    packages, needed = contract.at("environment.packages"), contract.at("environment.modelPackages")
    yield f"python       {contract.at('environment.python')}"
    yield f"packages     {len(packages)}, of which the model needs"
    yield f"             {', '.join(f'{name} {packages[name]}' for name in needed)}"
    for name in SECTIONS:
        yield f"{name:<12} {json.dumps(contract.at(name), ensure_ascii=False)}"
    golden = contract.at("golden")
    yield f"golden       {len(golden['outputs'])} predictions, tolerance {golden['tolerance']:g}"


def run_contract(argv: Sequence[str]) -> int:
    """Print a model's contract; return 1, with the reasons, where the model is refused."""
    parser = argparse.ArgumentParser(prog="parity contract", description=run_contract.__doc__)
    parser.add_argument("model", type=Path, nargs="?", default=model_path(), help="default: MODEL_PATH")
    parser.add_argument("--check", action="store_true", help="compare with this environment; nothing is unpickled")
    parser.add_argument("--predict", action="store_true", help="the same, then repeat the golden predictions")
    parser.add_argument("--policy", choices=list(POLICIES), default="strict")
    options = parser.parse_args(argv)
    judge = repeat if options.predict else check_contract
    try:
        print(*lines(read_contract(options.model)), sep="\n")
        reasons = judge(options.model, options.policy) if options.check or options.predict else []
    except ContractError as error:
        reasons = [str(error)]
    for reason in reasons:
        print(reason, file=sys.stderr)
    return 1 if reasons else 0
