"""How every verb tells what it is doing: one protocol, which the bar of the command line keeps as well."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Whatever may be called with a stage, and how much of it is done.

    A verb takes one as `progress=`; `print` is one. It is called often and must be quick, and what it raises ends the
    run as Ctrl-C does.
    """

    def __call__(self, stage: str, done: int = 0, total: int | None = None, /) -> None:
        """Hear that `done` of `total` steps of a stage are finished.

        `done` begins at 0 with each stage; `total` is None where nobody knows it, and may become known later.
        """


class _Silent:
    """Tells nobody; a signature shows it by its name."""

    def __call__(self, stage: str, done: int = 0, total: int | None = None, /) -> None:
        pass

    def __repr__(self) -> str:
        return "silent"


silent = _Silent()
