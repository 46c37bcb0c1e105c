"""Notifies callers by webhook of how their requests ended."""
