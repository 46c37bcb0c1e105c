"""`python -m app` is the `spillway` command."""

import sys


def main() -> None:
    """Run the command; an interrupt while it loads ends it as quietly as later ones do."""
    try:
        from app.cli.program import app  # noqa: PLC0415 - so that loading is covered, too

        app(prog_name="spillway")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
