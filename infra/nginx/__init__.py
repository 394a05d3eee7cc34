"""The front door: nginx's configuration, made from the table of routes."""
