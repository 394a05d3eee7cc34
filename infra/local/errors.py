"""Why `./aiw up` cannot go on: one sentence of the catalogue, which names the mend."""

from __future__ import annotations


class UpError(Exception):
    """Nothing can be started. `key` is a message of the catalogue, without its `up.`; `values` go into its sentence."""

    def __init__(self, key: str, **values: object) -> None:
        """`values`: what the sentence names; never a secret (I11)."""
        super().__init__(key, values)
        self.key = key
        self.values = values
