"""`python -m app` is the `spillway` command."""

from app.cli.serve import app

if __name__ == "__main__":
    app()
