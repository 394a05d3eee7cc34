"""The whole stack on one machine: servers from wheels, functions forked from one parent, and who looks after them."""
