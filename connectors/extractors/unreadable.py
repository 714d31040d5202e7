"""The error of a document that gives no page; by itself, because the cleaner of every page knows it."""


class UnreadableError(Exception):
    """A document that gives no page: the rule it is counted under, and a sentence."""

    def __init__(self, problem: str, detail: str) -> None:
        super().__init__(detail)
        self.problem = problem
        self.detail = detail
