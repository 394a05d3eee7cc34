"""Fixtures that several suites share live in plugins: a test that asks for none of them pays for none."""

pytest_plugins = ["tests.postgres", "tests.stack"]
