"""Whose request it is, and whether the role reaches. Only hashes of secrets are ever looked up."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections import OrderedDict
from typing import Final

from common.core.errors import Forbidden, Unauthenticated
from common.ports import ROLES, Clock, People, Principal, Role

KEPT_SECONDS: Final = (
    3.0  # a look-up costs a request about 0.1 ms of PostgreSQL; a revoked token reads that long at most
)
KEPT_TOKENS: Final = 1000
# Crockford's base 32: no I, L, O, U, so that a code can be read out over a telephone.
ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CODE_LENGTH: Final = 8  # 40 bits: at the overall limit below, 600 guesses in a code's ten minutes are 1 in 10^9
ALIKE: Final = str.maketrans("OIL", "011")


def sha256_of(secret: str) -> str:
    """What is stored of a token's secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def new_secret() -> str:
    """A token's or session's secret: 256 bits."""
    return f"aiw_{secrets.token_urlsafe(32)}"


def new_code() -> str:
    """A sign-in code as it is shown: `7F3K-QM2P`."""
    drawn = "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH))
    return f"{drawn[:4]}-{drawn[4:]}"


def code_hash(code: str) -> str:
    """What is stored of a code, however it was typed: small letters, blanks, no dash, O for 0."""
    typed = "".join(char for char in code.upper()[:64] if char.isalnum())
    return sha256_of(f"sign-in:{typed.translate(ALIKE)}")


def reaches(role: Role, needed: Role) -> bool:
    """Whether a role includes another."""
    return ROLES.index(role) >= ROLES.index(needed)


def require(principal: Principal, needed: Role) -> None:
    """Forbidden unless the principal's role reaches."""
    if not reaches(principal.role, needed):
        msg = f"this needs the role {needed}; yours is {principal.role}"
        raise Forbidden(msg)


class Doorkeeper:
    """Remembers for a moment who a token is: for reading only, what changes something looks the token up."""

    def __init__(self, people: People, clock: Clock) -> None:
        """`people`: where tokens are looked up."""
        self._people = people
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, Principal | None]] = OrderedDict()
        self._lock = threading.Lock()

    def remembered(self, token_sha256: str) -> Principal | None:
        """Who it is, if that was looked up a moment ago; raises Unauthenticated if it was nobody."""
        with self._lock:
            entry = self._known.get(token_sha256)
        if entry is None or entry[0] < self._clock.monotonic():
            return None
        if entry[1] is None:
            raise Unauthenticated(NO_TOKEN)
        return entry[1]

    def look_up(self, token_sha256: str) -> Principal:
        """Who it is. Unauthenticated if nobody."""
        found = self._people.principal(token_sha256)
        with self._lock:
            self._known[token_sha256] = (self._clock.monotonic() + KEPT_SECONDS, found)
            while len(self._known) > KEPT_TOKENS:
                self._known.popitem(last=False)
        if found is None:
            raise Unauthenticated(NO_TOKEN)
        return found

    def principal_of(self, secret: str) -> Principal:
        """Who holds this secret. Unauthenticated if nobody."""
        token = sha256_of(secret)
        return self.remembered(token) or self.look_up(token)

    def still(self, principal: Principal) -> bool:
        """Whether that token still gives that role: what a stream asks, which outlives the request that began it."""
        found = self._people.principal(principal.token_sha256)
        return found is not None and found.role == principal.role

    def forget(self, token_sha256: str) -> None:
        """After a sign-out here: look it up again."""
        with self._lock:
            self._known.pop(token_sha256, None)


NO_TOKEN: Final = "no valid token: send `Authorization: Bearer aiw_…`, or sign in again"  # noqa: S105 - a message
