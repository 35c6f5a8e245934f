"""`lodewell warmup`: the loops of commands compiled ahead, for the images of containers and for clusters."""

from __future__ import annotations

from typing import Annotated

import typer


def command(
    commands: Annotated[
        list[str] | None,
        typer.Argument(metavar="COMMANDS...", help="Such as relax or fit-gap.", show_default="all of them"),
    ] = None,
) -> None:
    """Compile the loops of commands now, so that their first runs need not.

    Each command runs on a few made-up crystals. Run it as the user, on the kind of processor and with the
    NUMBA_CACHE_DIR, if any, that later runs will have.
    """
    import time

    from lodewell.cli._warmup import steps, warm_up
    from lodewell.compiled import kept_in, uncached
    from lodewell.compiling import NO_CACHE, told

    for name in steps(commands):
        begun: list[bool] = []
        start = time.perf_counter()
        with told(begun.append):
            skipped = warm_up(name)
        print(f"{name}: {skipped or f'{sum(begun)} loops compiled, {time.perf_counter() - start:.0f} s'}", flush=True)
    print(NO_CACHE if uncached() else f"kept in {', '.join(kept_in())}")
