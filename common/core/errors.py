"""AppError                raised on purpose; `code` is public and keeps its meaning
+- Refused              4xx, change something first
|  +- Malformed         400 not JSON
|  +- Unauthenticated   401 no valid token
|  +- Forbidden         403 the role does not reach
|  |  +- SelfApproval
|  +- NotFound          404 not there, or another workspace's
|  +- Conflict          409 the state, a key or a version is another
|  |  +- IllegalTransition
|  |  +- StaleDigest
|  |  +- EffectUndecided
|  +- TooLarge          413
|  +- UnsupportedMedia  415
|  +- Invalid           422 content, with a pointer to each field
|  +- TooMany           429 with Retry-After
+- Unavailable          503 with Retry-After, the same request may be sent again
|  +- StoreUnavailable
|  +- AnalyzerUnavailable
|  +- OverBudget
+- Unfit                the installation itself must be mended before it can start
   +- SchemaTooOld
   +- SchemaTooNew
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from common.core.task import State


@dataclass(frozen=True, slots=True)
class FieldError:
    """One fault of a request's content: a JSON pointer (`#/plan/steps/0/args/url`), what is wrong, how to mend it."""

    pointer: str
    detail: str
    hint: str = ""


class AppError(Exception):
    """Raised on purpose. `code` names the problem type; the message is meant for the person who reads it."""

    code: ClassVar[str] = "error"
    title: ClassVar[str] = "Something went wrong here"
    status: int = 500

    def __init__(self, detail: str = "") -> None:
        """`detail`: one sentence, what and how to mend it; it must not hold a secret (I11)."""
        super().__init__(detail or self.title)

    @property
    def retry_after(self) -> int | None:
        """Seconds after which the same request may be sent again, where that helps."""
        return None


class Refused(AppError):
    """4xx: the same request will be refused again; change something first."""

    code = "refused"
    title = "The request was refused"
    status = 400


class Malformed(Refused):
    """400: the body is not JSON."""

    code = "malformed"
    title = "The body is not valid JSON"
    status = 400


class Unauthenticated(Refused):
    """401: no token, or one that is unknown, expired or revoked."""

    code = "unauthenticated"
    title = "A valid token is needed"
    status = 401


class Forbidden(Refused):
    """403: the token's role does not reach."""

    code = "forbidden"
    title = "Your role does not allow this"
    status = 403


class SelfApproval(Forbidden):
    """The requester may not approve here."""

    code = "self_approval"
    title = "Somebody else has to approve what you asked for"


class NotFound(Refused):
    """404: not there, or another workspace's (the two are not told apart)."""

    code = "not_found"
    title = "There is no such thing here"
    status = 404


class Conflict(Refused):
    """409: what is asked does not fit what is now. `state` and `digest` are the present ones, where there are any."""

    code = "conflict"
    title = "This does not fit the present state"
    status = 409

    def __init__(self, detail: str = "", *, state: State | None = None, digest: str | None = None) -> None:
        """`state`, `digest`: the present ones, carried in the answer's body."""
        super().__init__(detail)
        self.state = state
        self.digest = digest


class IllegalTransition(Conflict):
    """The lifecycle table has no such row."""

    code = "illegal_transition"

    def __init__(self, kind: str, source: State | None, target: State | None = None) -> None:
        """`kind` of event, and the states between which it was tried."""
        to = f" to {target.value}" if target else ""
        super().__init__(f"{kind}: not possible from {source.value if source else 'nothing'}{to}", state=source)


class StaleDigest(Conflict):
    """The decision names a digest that is not the one that waits."""

    code = "stale_digest"
    title = "What waits for approval is no longer what you saw"


class EffectUndecided(Conflict):
    """An attempt with an unknown effect must be decided first (I6)."""

    code = "effect_undecided"
    title = "First say whether the unknown step happened"


class TooLarge(Refused):
    """413: the body passes the limit."""

    code = "too_large"
    title = "The body is too large"
    status = 413


class UnsupportedMedia(Refused):
    """415: not application/json."""

    code = "unsupported_media_type"
    title = "Send application/json"
    status = 415


class Invalid(Refused):
    """422: the content does not fit; every fault is listed with a pointer."""

    code = "invalid"
    title = "The content does not fit"
    status = 422

    def __init__(self, errors: tuple[FieldError, ...], detail: str = "") -> None:
        """`errors`: at least one."""
        super().__init__(detail or f"{errors[0].pointer}: {errors[0].detail}")
        self.errors = errors


class TooMany(Refused):
    """429: too often; `seconds` until it is worth trying again."""

    code = "too_many"
    title = "Too many tries"
    status = 429

    def __init__(self, seconds: int, detail: str = "") -> None:
        """`seconds`: at least 1."""
        super().__init__(detail)
        self.seconds = seconds

    @property
    def retry_after(self) -> int | None:
        """See AppError."""
        return self.seconds


class Unavailable(AppError):
    """503: not now; the same request may be sent again."""

    code = "unavailable"
    title = "Not available right now"
    status = 503

    @property
    def retry_after(self) -> int | None:
        """See AppError."""
        return 2


class StoreUnavailable(Unavailable):
    """PostgreSQL does not answer, or the connection broke in the middle."""

    code = "store_unavailable"
    title = "The database does not answer"


class AnalyzerUnavailable(Unavailable):
    """The model's provider cannot be asked now."""

    code = "analyzer_unavailable"
    title = "The model cannot be asked right now"


class OverBudget(Unavailable):
    """The month's limit would be passed (I7)."""

    code = "over_budget"
    title = "The month's limit is reached"


class Unfit(AppError):
    """The installation itself must be mended before it can start."""

    code = "unfit"
    title = "This installation cannot start as it is"


class SchemaTooOld(Unfit):
    """The database is behind the code: `./aiw migrate`."""

    code = "schema_too_old"


class SchemaTooNew(Unfit):
    """The database is ahead of the code: run the newer version."""

    code = "schema_too_new"
