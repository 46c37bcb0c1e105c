"""The HTTP edge: the only rooms that know FastAPI and Starlette."""
