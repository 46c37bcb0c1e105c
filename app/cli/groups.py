"""Groups of commands: those of Typer, starting faster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typer.core import TyperGroup, TyperOption

if TYPE_CHECKING:
    import typer
    from typer.core import TyperArgument


class CommandGroup(TyperGroup):
    """A group whose own flags need no pydantic, so that help for its commands comes at once."""

    def get_params(self, ctx: typer.Context) -> list[TyperArgument | TyperOption]:  # type: ignore[override]  # as Typer's
        """Its own options; flags are off where Typer gives them no default."""
        found = super().get_params(ctx)
        for one in found:
            # To learn that nothing is no truth, Typer would load pydantic: a third of the time of a start (0190).
            if isinstance(one, TyperOption) and one.is_flag and one.default is None:
                one.default = False
        return found  # type: ignore[return-value]  # all parameters are Typer's
