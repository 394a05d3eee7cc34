"""Alembic's entry: runs on the connection that `migrate` hands in, in the transaction that `migrate` opened."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
context.run_migrations()
