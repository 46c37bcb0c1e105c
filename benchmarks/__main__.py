"""Measures the gateway beside a bare proxy, and beside other gateways where they are installed.

`python -m benchmarks --help` lists what can be chosen. In each round all programs run in fresh processes and take turns
in bursts of shuffled order; what is compared is the CPU of a program's whole process tree a call, within a round.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.peers import find_peers
from benchmarks.programs import Gateway, floor
from benchmarks.report import FLOOR, ratio, table
from benchmarks.rounds import Program, run
from benchmarks.scenarios import SCENARIOS, Scenario

_OURS = "spillway"
_BEFORE = "before"
_SHARE = "spillway-share"


def _arguments(given: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = ", ".join(one.name if one.is_default else f"{one.name} (when named)" for one in SCENARIOS)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=f"some of: {names}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=17, help="of the order in which programs take turns")
    parser.add_argument("--calls", type=float, default=1.0, metavar="SHARE", help="of the calls of each scenario")
    parser.add_argument("--before", type=Path, metavar="FOLDER", help="the gateway of another checkout too")
    parser.add_argument("--peers", action="store_true", help="LiteLLM, Portkey and nginx too, where installed")
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="a gateway of so many processes too, with the load of one and with as much on each; and one with a share",
    )
    parser.add_argument(
        "--database", metavar="URL", help="of a PostgreSQL server for fresh databases, instead of SQLite"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every single result there")
    return parser.parse_args(given)


def _chosen(names: Sequence[str], share: float) -> list[Scenario]:
    unknown = set(names) - {one.name for one in SCENARIOS}
    if unknown:
        raise SystemExit(f"no such scenario: {', '.join(sorted(unknown))}")
    return [one.shortened(share) for one in SCENARIOS if (one.name in names if names else one.is_default)]


def _programs(options: argparse.Namespace) -> list[Program]:
    one = Gateway(server=options.database)
    programs = [Program(FLOOR, floor), Program(_OURS, one)]
    if options.before:
        programs.append(Program(_BEFORE, Gateway(server=options.database, checkout=options.before.absolute())))
    if options.workers:
        several = Gateway(options.workers, options.database)
        programs.append(Program(f"{_OURS}-{options.workers}", several))
        programs.append(Program(f"{_OURS}-{options.workers}-each", several, load=options.workers))
        programs.append(Program(_SHARE, one, load=1 / options.workers))
    return [*programs, *(find_peers() if options.peers else ())]


def main() -> None:
    """The table."""
    options = _arguments(sys.argv[1:])
    scenarios = _chosen(options.scenarios, options.calls)
    results = run(scenarios, _programs(options), options.rounds, options.seed)
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in results], indent=1))
    for line in table(results, scenarios):
        print(line)
    for scenario in scenarios if options.before else ():
        print(f"{scenario.name}: a call costs {ratio(results, scenario.name, _OURS, _BEFORE)} of what it did before")
    for scenario in scenarios if options.workers else ():
        several = f"{_OURS}-{options.workers}"
        print(f"{scenario.name}: CPU of a call with {options.workers} processes, over that with one")
        for said, name, beside in (
            ("each has its load", f"{several}-each", _OURS),
            ("they share its load", several, _OURS),
            ("it has no more load than each", several, _SHARE),
        ):
            print(f"  {said:30} {ratio(results, scenario.name, name, beside)}")


if __name__ == "__main__":
    main()
