"""The Runware API: tasks, transport, retries and errors in its own terms."""
