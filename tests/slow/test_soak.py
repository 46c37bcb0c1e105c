"""A soak of a quarter of an hour at two thirds of what the gateway can take, while one thing after the other is taken away.

`SOAK_SECONDS` sets its length, `SOAK_PLOT` where its plots are written.
"""

import itertools
import os
import time
from pathlib import Path

import pytest

from tests.support.soak.books import check_books
from tests.support.soak.house import house
from tests.support.soak.load import Callers, statuses
from tests.support.soak.plot import draw
from tests.support.soak.watch import MIB, Watch, growth

SECONDS = float(os.environ.get("SOAK_SECONDS", "900"))
_MEASURED_SECONDS = 12.0
_FAULT_SECONDS, _PAUSE_SECONDS = 3.0, 7.0
_WARM_UP, _CALM = 0.2, 0.1
"""Shares of the time in which nothing is taken away: until all caches are full, and at the end."""
_CALLERS = 24

pytestmark = [pytest.mark.slow, pytest.mark.measured, pytest.mark.timeout(2 * SECONDS + 900)]


def test_a_quarter_of_an_hour_with_faults_leaks_nothing_loses_nothing_and_ends_with_exact_books(tmp_path):
    with house(tmp_path) as soaked:
        callers = Callers(soaked.origin, _CALLERS, seed=1)
        rate = callers.measure(_MEASURED_SECONDS) * 2 / 3
        assert rate > 0
        callers.ask_at(rate)
        with Watch(soaked) as watch:
            begun = time.monotonic()
            time.sleep(SECONDS * _WARM_UP)
            for name, fault in itertools.cycle(soaked.faults().items()):
                if time.monotonic() - begun > SECONDS * (1 - _CALM):
                    break
                watch.mark(name)
                with fault():
                    time.sleep(_FAULT_SECONDS)
                time.sleep(_PAUSE_SECONDS)
            time.sleep(max(SECONDS - (time.monotonic() - begun), 0))
            asked = callers.end()
        plot = Path(os.environ.get("SOAK_PLOT", tmp_path / "soak.svg"))
        draw(plot, watch.samples, watch.marks, asked)
        found = check_books(soaked, asked)
        print(f"\n{SECONDS:.0f} s at {rate:.1f} requests a second: {dict(statuses(asked))}; {found}; plots in {plot}")
        log = (tmp_path / "gateway.log").read_text(errors="replace")
        assert "unexpected fault" not in log, log[log.index("unexpected fault") :][:3000]
        assert len(watch.marks) >= min(len(soaked.faults()), SECONDS / 30), "each of them came at least once"
        first, last = growth(watch.samples, lambda sample: sample.own_bytes, SECONDS * _WARM_UP)
        print(f"resident, calm: {first / MIB:.0f} MiB, then {last / MIB:.0f} MiB")
        assert last <= first * 1.1 + 16 * MIB
        before, after = growth(watch.samples, lambda sample: sample.descriptors, SECONDS * _WARM_UP)
        print(f"open files, calm: {before:.0f}, then {after:.0f}")
        # While the younger process is down all callers are at this one, each with a connection and a task at Runware; what
        # leaks with each request or fault is more than that long before the end.
        assert after <= before + 2 * _CALLERS
