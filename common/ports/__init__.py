"""What the lifecycle asks of the outside: each docstring is the contract, tests/contract proves it for every adapter.

Every method may raise StoreUnavailable (or, where it says so, another Unavailable) and nothing else but what it names.
"""

from common.ports.analyzer import Analyzer, Answer, NotAnswered, Question
from common.ports.answers import Answers, Asking, Flight, Front, Learned, Remembered, Use
from common.ports.approvals import Approval, Approvals, Decided, Decision, Notice, Verdict
from common.ports.batches import ANSWER_IN, SEND_WITHIN, Asked, Batch, Batches, Checked, Member, NotOpened, custom_id
from common.ports.budget import (
    Bill,
    Budget,
    BudgetTold,
    BudgetView,
    CallReason,
    CallRequest,
    NotReserved,
    Saved,
    Usage,
)
from common.ports.costs import CallSum, Costs, KindCost, MonthCosts
from common.ports.http import Http, HttpFailure, HttpRequest, HttpResponse
from common.ports.people import People, Person, Principal, Role, TokenRow
from common.ports.process import WAKE_KINDS, Clock, Notifier, wakes_of
from common.ports.queue import (
    PATIENCE,
    Added,
    AddRefused,
    Begin,
    Begun,
    Forming,
    NewTask,
    NotBegun,
    Queue,
    Refusal,
    Submission,
)
from common.ports.reads import Depth, EventRecord, QueueView, Reads, TaskFilter, TaskRecord
from common.ports.workspace import SettingRow, Workspace

__all__ = [
    "ANSWER_IN",
    "PATIENCE",
    "SEND_WITHIN",
    "WAKE_KINDS",
    "AddRefused",
    "Added",
    "Analyzer",
    "Answer",
    "Answers",
    "Approval",
    "Approvals",
    "Asked",
    "Asking",
    "Batch",
    "Batches",
    "Begin",
    "Begun",
    "Bill",
    "Budget",
    "BudgetTold",
    "BudgetView",
    "CallReason",
    "CallRequest",
    "CallSum",
    "Checked",
    "Clock",
    "Costs",
    "Decided",
    "Decision",
    "Depth",
    "EventRecord",
    "Flight",
    "Forming",
    "Front",
    "Http",
    "HttpFailure",
    "HttpRequest",
    "HttpResponse",
    "KindCost",
    "Learned",
    "Member",
    "MonthCosts",
    "NewTask",
    "NotAnswered",
    "NotBegun",
    "NotOpened",
    "NotReserved",
    "Notice",
    "Notifier",
    "People",
    "Person",
    "Principal",
    "Question",
    "Queue",
    "QueueView",
    "Reads",
    "Refusal",
    "Remembered",
    "Role",
    "Saved",
    "SettingRow",
    "Submission",
    "TaskFilter",
    "TaskRecord",
    "TokenRow",
    "Usage",
    "Use",
    "Verdict",
    "Workspace",
    "custom_id",
    "wakes_of",
]
