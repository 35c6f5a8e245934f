"""How every figure looks: quiet axes, legible type, colours that all eyes can tell apart."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lodewell.errors import BadOption
from lodewell.files import atomic_path
from lodewell.text import printable

# Okabe & Ito (2008), told apart with every common form of colour blindness; the darkest first.
BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, YELLOW = (
    "#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9", "#F0E442",
)  # fmt: skip
COLOURS = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY)
INK, GREY, PALE = "#222222", "#777777", "#C9CED6"
FORMATS = (".png", ".svg", ".pdf")

_RC: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.0,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "lines.linewidth": 1.7,
    "savefig.dpi": 200,
    "svg.fonttype": "none",
    "axes.formatter.useoffset": False,
}


@contextmanager
def figure(width: float, height: float) -> Iterator[Any]:
    """Give an empty `matplotlib` figure (inches) in this style; draw and `save` it within the block."""
    import matplotlib
    from cycler import cycler
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rc: Any = _RC | {"axes.prop_cycle": cycler(color=COLOURS)}
    with matplotlib.rc_context(rc):
        drawn = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(drawn)
        yield drawn


def figure_path(path: str | Path) -> Path:
    """Return where a figure is written: as PNG where nothing is said.

    Raises:
        BadOption: for an ending that figures do not have.
    """
    target = Path(path)
    if not target.suffix:
        target = target.with_name(target.name + ".png")
    if target.suffix.lower() not in FORMATS:
        raise BadOption(f"{target}: figures are written as {', '.join(FORMATS)}, not '{target.suffix}'")
    return target


def lay_out(drawn: Any) -> None:
    """Draw a figure once, so that the places of its parts are known."""
    _take_literally(drawn)
    drawn.canvas.draw()


def _take_literally(drawn: Any) -> None:
    """Draw every text as it stands, as names from files must be: `$` begins no formula but in the numbers of axes."""
    from matplotlib.axis import Tick
    from matplotlib.text import Text

    numbers = {id(label) for tick in drawn.findobj(Tick) for label in (tick.label1, tick.label2)}
    numbers |= {id(axis.get_offset_text()) for axes in drawn.axes for axis in (axes.xaxis, axes.yaxis)}
    for text in drawn.findobj(Text):
        if id(text) not in numbers:
            text.set_parse_math(False)
            text.set_text(printable(text.get_text()))


def save(drawn: Any, path: str | Path) -> Path:
    """Write a figure as PNG, SVG or PDF, by the ending of its name; none means PNG.

    Raises:
        BadOption: for another ending.
        BadFile: when the place cannot be written.
    """
    target = figure_path(path)
    _take_literally(drawn)
    with atomic_path(target) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # names in any script; a box stands for it
        drawn.savefig(temporary, format=target.suffix.lower()[1:])
    return target
