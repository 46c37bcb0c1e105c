"""The `spillway` command and its client: the only room that may start the simulator."""
