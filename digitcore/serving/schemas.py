"""What the HTTP API answers, as pydantic models: they make its documentation."""

from pydantic import BaseModel, Field

__all__ = ["CheckpointAnswer", "ErrorAnswer", "Figures", "FoundDigitAnswer", "NumberAnswer", "PredictionAnswer"]


class PredictionAnswer(BaseModel):
    """What a checkpoint says about a picture."""

    prediction: int = Field(description="the most probable digit", ge=0, le=9)
    confidence: float = Field(description="its probability")
    probabilities: list[float] = Field(description="of the digits 0 to 9")
    accepted: bool = Field(description="false where the answer should not be relied on")
    reason: str | None = Field(description="why not")
    checkpoint: str


class FoundDigitAnswer(BaseModel):
    """One digit of a number."""

    box: tuple[int, int, int, int] = Field(
        description="left, top, right, bottom in pixels of the picture as read: upright, and one with a side over "
        "1,024 reduced by the smallest whole factor that brings it below"
    )
    prediction: int = Field(description="the most probable digit", ge=0, le=9)
    confidence: float = Field(description="its probability")
    probabilities: list[float] = Field(description="of the digits 0 to 9")
    accepted: bool = Field(description="false where the answer should not be relied on")
    reason: str | None = Field(description="why not")


class NumberAnswer(BaseModel):
    """What a checkpoint reads on a picture of several digits."""

    number: str = Field(description="its digits, lines separated by a space; empty where there is none")
    confidence: float = Field(description="that all digits are right: the product of theirs")
    accepted: bool = Field(description="false where the answer should not be relied on")
    reason: str | None = Field(description="why not")
    digits: list[FoundDigitAnswer] = Field(description="line by line from the top, each line from left to right")
    checkpoint: str


class Figures(BaseModel):
    """How a checkpoint does on a set of digits."""

    digits: int
    errors: int
    accuracy: float
    interval: tuple[float, float] = Field(
        description="95% interval of the accuracy that allows for writers, where they are known"
    )
    nll: float = Field(description="log loss, in nats")
    ece: float = Field(description="expected calibration error, 15 equally wide bins")


class CheckpointAnswer(BaseModel):
    """A file of the weights folder."""

    name: str
    file: str
    bytes: int
    problem: str | None = Field(description="why it cannot be used; null where it can")
    architecture: str | None
    parameters: int | None
    digest: str | None = Field(description="SHA-256 of the weights and of what else changes an answer")
    figures: dict[str, Figures] = Field(description="by dataset, where it has been evaluated")


class ErrorAnswer(BaseModel):
    """What went wrong and what to do about it."""

    detail: str
