"""Properties of crystals from their structure: features by exact lattice sums, networks, training, prediction.

Everything that imports torch lives here and is imported on use: the extra `[predict]`. The package itself can be
called: `lodewell.predict(paths)`.
"""

from __future__ import annotations

from lodewell._verb import make_callable

make_callable(__name__, home="run")
