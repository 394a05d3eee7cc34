"""The fast side of remembered answers on a real Valkey: only what we put there is believed; nobody waits for it."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import orjson
import pytest

from common.adapters.redis.answers import LABEL, LARGEST, PREFIX, SECONDS, SLACK, NoFront, RedisAnswers
from common.core.task import Json
from common.ports import Learned
from tests.integration.installation import counted, fresh_metrics, secrets_dir
from tests.wakes import Valkey, valkey

__all__ = ["fresh_metrics", "secrets_dir", "valkey"]  # fixtures

KEY = hashlib.sha256(b"a key").hexdigest()
OTHER_KEY = hashlib.sha256(b"another").hexdigest()
HOME, NEIGHBOUR = UUID(int=1), UUID(int=2)
VERSION = "analysis.2"
ANSWER: dict[str, Json] = {"kind": "note", "summary": "값", "steps": [{"id": "a", "action": "value", "args": {}}]}


@pytest.fixture
def front(valkey: Valkey, secrets_dir: Path) -> Iterator[RedisAnswers]:
    """The fast side, connected."""
    made = RedisAnswers(valkey.url, secrets_dir)
    yield made
    made.close()


def learned(key: str = KEY, version: str = VERSION, answer: dict[str, Json] | None = None) -> Learned:
    """An answer."""
    return Learned(key=key, request="x", prompt_version=version, model="m", answer=answer or ANSWER, cost=7)


def name(key: str = KEY, home: UUID = HOME) -> str:
    """Where its entry lies."""
    return f"{PREFIX}:{home.hex}:{key}"


def entry(valkey: Valkey, key: str = KEY, home: UUID = HOME) -> bytes:
    """What is in Redis."""
    found = valkey.client().get(name(key, home))
    assert isinstance(found, bytes)
    return found


def test_what_was_put_comes_back_and_expires(valkey: Valkey, front: RedisAnswers) -> None:
    """One round trip for all; every entry ends by itself."""
    front.put(HOME, [learned(), learned(OTHER_KEY)])
    found = front.recall(HOME, [OTHER_KEY, KEY, "0" * 64], VERSION)
    assert {key: (one.answer, one.cost, one.model) for key, one in found.items()} == {
        KEY: (ANSWER, 7, "m"),
        OTHER_KEY: (ANSWER, 7, "m"),
    }
    assert SECONDS - 5 < valkey.client().ttl(name()) <= SECONDS
    assert front.drop(HOME, [KEY])
    assert set(front.recall(HOME, [KEY, OTHER_KEY], VERSION)) == {OTHER_KEY}
    assert front.recall(HOME, [], VERSION) == {}
    assert front.drop(HOME, [])
    assert counted("aiw_cache_forged_total") == 0


def flipped(original: bytes) -> bytes:
    """One bit of the document is another."""
    return original[:-3] + bytes([original[-3] ^ 1]) + original[-2:]


def signed_otherwise(original: bytes) -> bytes:
    """Signed by somebody who does not know the secret."""
    return hmac.digest(b"guessed", original[32:], "sha256") + original[32:]


@pytest.mark.parametrize(
    "forge",
    [
        flipped,
        signed_otherwise,
        lambda original: original[:-1],
        lambda original: original[:32],
        lambda _: b"",
        lambda _: orjson.dumps(ANSWER),
        lambda original: original + b" " * LARGEST,
        lambda original: bytes(32) + original[32:],
    ],
)
def test_a_forged_entry_is_a_miss_and_counted(
    valkey: Valkey, front: RedisAnswers, forge: Callable[[bytes], bytes]
) -> None:
    """Altered, cut, unsigned, signed by others, or far too large: nobody reads it, its neighbours are read."""
    front.put(HOME, [learned(), learned(OTHER_KEY)])
    valkey.client().set(name(), forge(entry(valkey)))
    assert set(front.recall(HOME, [KEY, OTHER_KEY], VERSION)) == {OTHER_KEY}
    assert counted("aiw_cache_forged_total") == 1


def test_an_entry_counts_only_where_and_while_it_was_put(valkey: Valkey, secrets_dir: Path) -> None:
    """Moved to another key or workspace, under other prompts or another secret, kept for later: a miss, and counted."""
    now = [1000.0]
    front = RedisAnswers(valkey.url, secrets_dir, now=lambda: now[0])
    front.put(HOME, [learned()])
    ours = entry(valkey)
    valkey.client().set(name(OTHER_KEY), ours)
    valkey.client().set(name(KEY, NEIGHBOUR), ours)
    assert front.recall(HOME, [OTHER_KEY], VERSION) == {}
    assert front.recall(NEIGHBOUR, [KEY], VERSION) == {}
    assert front.recall(HOME, [KEY], "analysis.1") == {}
    elsewhere = secrets_dir / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "signing.key").write_text("of another installation")
    other = RedisAnswers(valkey.url, elsewhere)
    assert other.recall(HOME, [KEY], VERSION) == {}
    other.close()
    assert set(front.recall(HOME, [KEY], VERSION)) == {KEY}
    valkey.client().set(name(), ours)  # put back without an end by somebody who kept it
    now[0] += SECONDS + SLACK
    assert front.recall(HOME, [KEY], VERSION) == {}
    assert counted("aiw_cache_forged_total") == 5
    front.close()


def test_an_entry_of_another_kind_is_a_miss(valkey: Valkey, front: RedisAnswers) -> None:
    """A list where an entry would be."""
    valkey.client().rpush(name(), "x")
    front.put(HOME, [learned(OTHER_KEY)])
    assert set(front.recall(HOME, [KEY, OTHER_KEY], VERSION)) == {OTHER_KEY}


def test_what_we_signed_is_read_with_distrust_all_the_same(valkey: Valkey, front: RedisAnswers) -> None:
    """A document that is none, although it is signed, is a miss: an older release may have put it there."""
    secret = hmac.digest(b"a secret of this installation", LABEL, "sha256")
    for payload in (b"[]", b"{}", b"nothing", b'{"until":"x","answer":{},"model":"m","cost":1}', b'{"until":9e12}'):
        bound = b"\0".join((HOME.hex.encode(), KEY.encode(), VERSION.encode(), payload))
        valkey.client().set(name(), hmac.digest(secret, bound, "sha256") + payload)
        assert front.recall(HOME, [KEY], VERSION) == {}
    assert counted("aiw_cache_forged_total") == 5


def test_what_is_too_large_or_no_json_is_not_put(valkey: Valkey, front: RedisAnswers) -> None:
    """It is read from the database."""
    front.put(HOME, [learned(answer={"x": "y" * LARGEST}), learned(OTHER_KEY, answer={"x": 2**70})])
    assert valkey.client().keys("*") == []


def test_redis_away_costs_a_moment_and_nothing_else(valkey: Valkey, front: RedisAnswers) -> None:
    """The first call finds out, the others do not even try; it is taken again as soon as it is back."""
    front.put(HOME, [learned()])
    valkey.kill()
    began = time.monotonic()
    for _ in range(50):
        assert front.recall(HOME, [KEY], VERSION) == {}
        front.put(HOME, [learned()])
    assert time.monotonic() - began < 0.5
    assert not front.drop(HOME, [KEY])
    valkey.start()
    time.sleep(1.1)
    front.put(HOME, [learned()])
    assert set(front.recall(HOME, [KEY], VERSION)) == {KEY}


def test_a_restarted_redis_is_found_at_once(valkey: Valkey, front: RedisAnswers) -> None:
    """A connection that died with the old server is replaced within the same call."""
    front.put(HOME, [learned()])
    valkey.kill()
    valkey.start()
    front.put(HOME, [learned()])
    assert set(front.recall(HOME, [KEY], VERSION)) == {KEY}


def test_a_redis_that_hangs_is_not_waited_for(valkey: Valkey, front: RedisAnswers) -> None:
    """Intake stands behind it: a tenth of a second, once a second."""
    front.put(HOME, [learned()])
    valkey.client().client_pause(3000)
    began = time.monotonic()
    for _ in range(20):
        assert front.recall(HOME, [KEY], VERSION) == {}
    assert time.monotonic() - began < 0.4


def test_without_a_secret_nothing_is_put_and_nothing_believed(
    valkey: Valkey, front: RedisAnswers, tmp_path: Path
) -> None:
    """An installation whose secret is missing reads its answers from the database."""
    front.put(HOME, [learned()])
    empty = tmp_path / "empty"
    empty.mkdir()
    without = RedisAnswers(valkey.url, empty)
    assert without.recall(HOME, [KEY], VERSION) == {}
    without.put(HOME, [learned(OTHER_KEY)])
    without.close()
    assert valkey.client().exists(name(OTHER_KEY)) == 0
    none = NoFront()
    none.put(HOME, [learned()])
    assert none.recall(HOME, [KEY], VERSION) == {}
    assert none.drop(HOME, [KEY])
    none.close()
