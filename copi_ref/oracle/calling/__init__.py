"""Somebody else's code: how it is called, and how what it returns is read."""
