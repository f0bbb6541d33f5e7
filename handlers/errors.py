"""What can go wrong, sorted by who must hear of it: each error carries the sentence that is shown."""

from __future__ import annotations


class Refusal(Exception):  # noqa: N818  it is an answer to a person, not a fault
    """For the person who asked: why not, and what they can do next."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class ModelFailed(Exception):  # noqa: N818  reads as the sentence in the thread
    """For the thread: a model gave no usable answer.

    Attributes:
        sentence: what the thread reads, such as "fast did not answer in 60 s".
        code: a short name for logs and the database, such as "timeout" or "http_401".
        retryable: whether asking the same model again may help.
        retry_after: seconds the endpoint asked us to wait, if it said so.
    """

    def __init__(self, sentence: str, *, code: str, retryable: bool = False, retry_after: float | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.code = code
        self.retryable = retryable
        self.retry_after = retry_after
