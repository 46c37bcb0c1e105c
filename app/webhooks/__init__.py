"""Tells callers by webhook how their requests ended."""
