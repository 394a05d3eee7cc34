"""What two stores, a migration and the command line must agree on is one constant, or held to it."""

from __future__ import annotations

import re
from pathlib import Path

from cli.people import ROLES as OFFERED
from common.adapters.postgres import apply, claim, gate
from common.adapters.postgres.migrations import __file__ as migrations
from common.core.lifecycle import GRACE
from common.ports import MAY_SUBMIT, ROLES
from common.routes import ROUTE


def test_an_attempts_grace_is_the_same_wherever_it_is_asked_for() -> None:
    """I6: whoever rescues, whoever applies and whoever extends a lease wait equally long for an attempt's end."""
    asked = (apply.SHORT, apply.WHOLE, claim.DUE, gate.BEGIN)
    found = [re.findall(r"must_end_by \+ interval '([\d.]+) s'", statement) for statement in asked]
    assert found == [[str(GRACE.total_seconds())]] * len(asked)


def test_the_roles_are_the_same_in_every_place() -> None:
    """The database's checks and the command line's choices name the roles that there are, smallest first."""
    schema = (Path(migrations).parent / "0001.sql").read_text("utf-8")
    checks = re.findall(r"role IN \(([^)]*)\)", schema)
    assert len(checks) == 2
    assert {tuple(re.findall(r"'(\w+)'", check)) for check in checks} == {ROLES} == {OFFERED}


def test_who_may_hand_in_by_the_commit_may_by_the_table_of_routes() -> None:
    """Intake's own look at the token asks for the role that its route names."""
    assert MAY_SUBMIT[0] == ROUTE["submit"].role
