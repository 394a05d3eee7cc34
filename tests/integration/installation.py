"""One installation as its tests see it: where its secret lies, and its counters from zero."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.telemetry import metrics


@pytest.fixture(autouse=True)
def fresh_metrics() -> None:
    """Counters from zero."""
    metrics.cache_clear()


def counted(name: str, **labels: str) -> float:
    """A metric's value."""
    return metrics().registry.get_sample_value(name, labels) or 0.0


@pytest.fixture
def secrets_dir(tmp_path: Path) -> Path:
    """Where the installation's secret lies."""
    (tmp_path / "signing.key").write_text("a secret of this installation\n")
    return tmp_path
