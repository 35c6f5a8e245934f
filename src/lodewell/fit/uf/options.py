"""Options of `lodewell fit uf`."""

from __future__ import annotations

from dataclasses import dataclass

from lodewell.errors import BadOption
from lodewell.fit.labelled_options import LabelledOptions


@dataclass(frozen=True)
class UFOptions(LabelledOptions):
    """How an ultra-fast potential is made.

    Attributes:
        cutoff: where two-body curves end, Å; 0 takes the distance within which an atom has 60 neighbours on average.
        cutoff_3body: longest leg of a triple, Å; 0 takes the distance within which an atom has 18 neighbours, and not
            more than the cutoff.
        intervals: spline intervals of a two-body curve between the shortest distance in the data and the cutoff.
        intervals_3body: spline intervals of each leg; the third side of a triple has twice as many. 0 takes 10, or
            fewer where many elements would make more than 5,000 coefficients.
        knots: distances of the knots of every two-body curve, Å, in place of uniform ones.
        knots_3body: distances of the knots of each leg, Å, in place of uniform ones.
        three_body: whether there are three-body terms.
        embed: add functions of each atom's densities and of their shape: many-body terms at little cost.
        embed_intervals: spline intervals of each density where the data are.
        embed_trials: how many other shapes of the densities are tried, each by a pass over the data.
        wall: what repels atoms closer than any in the data; "zbl" is the screened repulsion of nuclei, else the name or
            file of a statistical or other pair potential; "none" goes on with the slope there.
        smoothness: penalty on the second differences of coefficients; 0 chooses it by cross-validation.
        ridge: penalty on the coefficients themselves, relative to that on their second differences.
        balance: how much a relative gain in forces counts against one in energies when the weights between them are
            chosen by cross-validation.
        config_balance: a config_type whose forces are fitted better than the average counts more, up to this factor;
            1 treats all alike.
        uncertainty: keep what is needed for standard deviations, some megabytes.
        keep_rows: also write NAME.rows, from which a later fit goes on with --extend.
        extend: a NAME.rows of an earlier fit with the same options and splines; its frames count as well.
    """

    cutoff: float = 0.0
    cutoff_3body: float = 0.0
    intervals: int = 24
    intervals_3body: int = 0
    knots: tuple[float, ...] = ()
    knots_3body: tuple[float, ...] = ()
    three_body: bool = True
    embed: bool = False
    embed_intervals: int = 5
    embed_trials: int = 0
    wall: str = "zbl"
    smoothness: float = 0.0
    ridge: float = 0.1
    balance: float = 7.0
    config_balance: float = 100.0
    folds: int = 3
    uncertainty: bool = True
    keep_rows: bool = False
    extend: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("cutoff", "cutoff_3body"):
            value = getattr(self, name)
            if value and not 1.0 <= value <= 20.0:
                raise BadOption(f"{name} must lie between 1 and 20 Å, or be 0 to be chosen, not {value}")
        if self.cutoff and self.cutoff_3body > self.cutoff:
            raise BadOption(f"cutoff_3body is {self.cutoff_3body} Å: it cannot exceed the cutoff, {self.cutoff} Å")
        for name, least in (("intervals", 4), ("embed_intervals", 2), ("embed_trials", 0)):
            if getattr(self, name) < least:
                raise BadOption(f"{name} must be {least} or more, not {getattr(self, name)}")
        if self.embed_trials and not self.embed:
            raise BadOption("embed_trials tries shapes of an embedding: say embed as well")
        if self.intervals_3body and self.intervals_3body < 3:
            raise BadOption(f"intervals_3body must be 3 or more, or 0 to be chosen, not {self.intervals_3body}")
        for name in ("knots", "knots_3body"):
            values = getattr(self, name)
            if values and (len(values) < 5 or list(values) != sorted(set(values)) or values[0] <= 0):
                raise BadOption(f"{name} needs five or more distances in Å that increase, not {values}")
        for name in ("smoothness", "ridge", "balance", "config_balance"):
            if getattr(self, name) < 0:
                raise BadOption(f"{name} must be 0 or more, not {getattr(self, name)}")
