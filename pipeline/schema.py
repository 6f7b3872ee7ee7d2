"""The base of every config model: frozen, strict, and unknown keys are faults."""

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """A config section. Values are checked strictly: no text for a number, no true for 1."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, validate_default=True
    )
