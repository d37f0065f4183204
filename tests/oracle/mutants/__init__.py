"""Deliberately wrong implementations: the oracle has to reject each, and name the right bug."""
