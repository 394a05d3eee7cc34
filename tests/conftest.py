"""Fixtures that several suites share live in plugins: a test that asks for none of them pays for none."""

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.postgres", "tests.stack"]

# On a busy machine everything is slow, and how long an example takes to make or to try says nothing about the product.
settings.register_profile("aiw", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("aiw")
