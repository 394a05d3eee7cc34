"""Doubt about an effect, through the real endpoints: what settings allow may change before it is settled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from common.core.task import Json
from common.ports import Approval, HttpFailure, HttpResponse
from tests.unit.desk import Desk, desk
from tests.unit.test_decisions import API, post, submitted

PAY = "https://pay.example.com/refunds"


@pytest.fixture
def at() -> Iterator[Desk]:
    """The five functions; what is medium or high runs unasked, so that effects begin at once."""
    with desk() as it:
        put(it, "policy", {"autorun": "high"})
        yield it


def put(at: Desk, name: str, value: Json) -> None:
    """An admin's change of a setting."""
    admin = at.container.people.add_person(at.workspace, f"sets {name}", "admin")
    at.container.workspace.put(at.workspace, name, value, None, admin.id)


def answered_500() -> HttpResponse:
    """The far side failed, having acted or not."""
    return HttpResponse(status=500, headers={}, body=b"", url=PAY)


@pytest.mark.parametrize("answer", [answered_500(), HttpFailure("timeout", sent=True)])
def test_what_may_have_happened_is_not_sent_again_without_its_key(at: Desk, answer: HttpResponse | HttpFailure) -> None:
    """I6: the host's word that it knows keys is withdrawn between two attempts: a person says what happened."""
    put(at, "hosts", [{"name": "pay.example.com", "idempotent": True}])
    task = submitted(at, {"method": "POST", "url": PAY, "json": {}})["id"]
    at.far.answers.append(answer)
    at.wake("execute")
    assert [seen.headers.get("Idempotency-Key") is not None for seen in at.far.seen] == [True]
    put(at, "hosts", [{"name": "pay.example.com"}])
    at.elapse(timedelta(minutes=10))
    at.wake("execute", "execute")
    someone = at.token("operator", "looks")
    seen = at.clients["dashboard"].get(f"{API}/{task}", headers=someone).json()
    assert (len(at.far.seen), seen["state"], seen["error"]["code"]) == (1, "manual", "effect_unknown")
    assert seen["waiting_for"]["command"] == f"./aiw outcome {task[-8:]} a"
    assert post(at, task, "retry", someone)[0] == 409
    assert post(at, task, "outcome", someone, {"step": "a", "outcome": "not_done"})[0] == 200
    at.wake("execute")
    assert len(at.far.seen) == 2


def test_a_text_is_not_read_again_while_nobody_knows_what_its_plan_did(at: Desk) -> None:
    """I6: a new plan could do it a second time; a person says first what happened."""
    task = submitted(at, {"method": "POST", "url": PAY, "json": {}})["id"]
    [row] = at.store.tasks.values()
    row.request = row.request.model_copy(update={"text": "refund order 17"})
    at.far.answers.append(HttpFailure("reset", sent=True))
    at.wake("execute")
    status, said = post(at, task, "reanalyze", at.token("operator", "reads"))
    assert (status, said["type"], said["state"]) == (409, "/problems/effect_undecided", "manual")


def test_a_cancel_that_comes_during_an_unknown_effect_is_shown(at: Desk) -> None:
    """I6: a person decides first what it did, and reads that cancelling was asked for."""
    task = submitted(at, {"method": "POST", "url": "https://bank.example.com/", "json": {}})["id"]
    someone = at.token("operator", "cancels")

    def asked_while_it_runs() -> None:
        at.clients["dashboard"].post(f"{API}/{task}/cancel", json={"note": "no longer"}, headers=someone)
        at.clients["dashboard"].post(f"{API}/{task}/cancel", json={}, headers=someone)

    at.far.before = asked_while_it_runs
    at.far.answers.append(HttpFailure("reset", sent=True))
    at.wake("execute")
    seen = at.clients["dashboard"].get(f"{API}/{task}", headers=someone).json()
    assert (seen["state"], seen["outcome"]["note"]) == ("manual", "cancel_requested")
    status, body = post(at, task, "outcome", someone, {"step": "a", "outcome": "not_done"})
    assert status == 200
    at.wake("execute")
    ended = at.clients["dashboard"].get(f"{API}/{task}", headers=someone).json()
    assert (ended["state"], len(at.far.seen)) == ("cancelled", 1), body


def test_a_digest_is_only_shown_beside_what_it_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """I4: the plan is replaced between the two reads: it is looked at again, and never mixed."""
    with desk() as at:
        task, boss = submitted(at)["id"], at.token("approver")
        ask = at.clients["approve"]
        whole = ask.get(f"{API}/{task}/approval", headers=boss).json()
        real = at.container.approvals.open
        older: list[int] = []

        def replaced_meanwhile(workspace: UUID, task: UUID) -> Approval | None:
            found: Approval | None = real(workspace, task)
            assert found is not None
            older.append(1)
            if len(older) > stale_looks:
                return found
            return replace(found, plan_number=found.plan_number + 1, digest="v1:sha256:" + "0" * 64)

        monkeypatch.setattr(at.container.approvals, "open", replaced_meanwhile)
        stale_looks = 2
        assert ask.get(f"{API}/{task}/approval", headers=boss).json() == whole
        stale_looks = 1000
        assert ask.get(f"{API}/{task}/approval", headers=boss).status_code == 409
