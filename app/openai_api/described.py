"""The base of what is described in the OpenAPI document and nowhere else built."""

from pydantic import BaseModel, ConfigDict


class Described(BaseModel):
    """A model of the document. Its validator is built when it is asked for: no start needs a hundred of them (0178)."""

    model_config = ConfigDict(defer_build=True)
