"""What every test shares: the switch for slow ones, and examples that do not change from run to run in CI."""

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

# A machine that does much else is slow, with any example: none fails for that.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("unhurried"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "unhurried")

# A shell that starts the tests in the background lets them ignore Ctrl-C, and so would every program that they start:
# a worker of Prefect's ends by it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser):
    parser.addoption("--run-slow", action="store_true", help="also run the tests marked slow")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--run-slow"):
        return
    skip = pytest.mark.skip(reason="slow: run with --run-slow")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)
