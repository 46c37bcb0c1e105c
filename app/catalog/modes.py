"""What a model can be asked for: apart from the entries of models, since it is named where no catalog is read."""

from enum import StrEnum


class Mode(StrEnum):
    """What a model can be asked for."""

    GENERATE = "generate"
    EDIT = "edit"
