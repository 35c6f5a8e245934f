"""Labelled data: a source that can be read again and again, and what a fit makes of it by its options."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from lodewell.crystals.batch import Floats, Ints
from lodewell.crystals.labels.given import cut_given, given_labels
from lodewell.crystals.labels.keys import LabelKeys
from lodewell.crystals.labels.read import Labelled, LabelledChunk
from lodewell.crystals.labels.survey import Survey, survey_labels
from lodewell.errors import BadFile, BadOption, did_you_mean
from lodewell.fit.labelled_options import LabelledOptions
from lodewell.fit.reference import References, Spread, composition_spread, reference_energies
from lodewell.progress import Progress, silent

LEAST_ENERGIES = 20  # without forces
LEAST_OF_A_KIND = 10  # frames
SHOWN = 5
_MOST_BAD = LabelledOptions().max_bad
# Rows over Voigt components (xx yy zz yz xz xy): an orthonormal pair for the traceless diagonal, then the shears.
DEVIATORIC = np.array(
    [
        [np.sqrt(0.5), -np.sqrt(0.5), 0.0, 0.0, 0.0, 0.0],
        [np.sqrt(1 / 6), np.sqrt(1 / 6), -np.sqrt(2 / 3), 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 1.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 1.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, 1.0],
    ]
)


class LabelledSource:
    """Labelled crystals of files, folders and patterns, or in memory, without those that cannot be used.

    It knows how to read, and nothing of fits. Iterate over it as often as need be; `chunks` gives picklable recipes
    for workers; `survey` says what was found.
    """

    def __init__(self, data: Any, keys: LabelKeys = LabelKeys(), progress: Progress = silent) -> None:  # noqa: B008 frozen
        """Nothing is read yet.

        Args:
            data: paths, or ASE atoms with energies, forces or stresses, or `Labelled`; one or several.
            keys: names of the labels, where they should not be found by themselves.
            progress: told of what is read.

        Raises:
            BadOption: for what is neither a path nor a crystal, with its place and the cure.
        """
        self.given = given_labels(data)
        self.keys = keys
        self.progress = progress
        if keys != LabelKeys() and any(isinstance(item, Labelled) for item in self.given):
            raise BadOption("keys name labels that are still to be read: give them to read_labels, or leave them out")

    @property
    def paths(self) -> list[str | Path]:
        """What was given as paths; nothing for crystals in memory."""
        return [item for item in self.given if isinstance(item, str | Path)]

    @cached_property
    def survey(self) -> Survey:
        """What the data hold, with contradictions among its notes; raises `BadFile` or `BadOption`."""
        return survey_labels(
            self.given, self.keys, max_bad=_MOST_BAD, contradictions="note", progress=self.progress
        )  # fmt: skip

    @property
    def left_out(self) -> frozenset[tuple[str, int]]:
        """File and frame of what is not read."""
        return self.survey.left_out

    def chunks(self, size: int = 50) -> Iterator[LabelledChunk]:
        """Yield recipes of up to `size` frames; `chunk.read()[0]` are the labelled crystals."""
        left_out = self.left_out
        for chunk in cut_given(self.given, self.keys, size):
            files = set(chunk.chunk.files)
            yield replace(chunk, left_out=frozenset(place for place in left_out if place[0] in files))

    def __iter__(self) -> Iterator[Labelled]:
        for chunk in self.chunks(200):
            yield from chunk.read()[0]

    def __len__(self) -> int:
        return self.survey.frames


class LabelledData(LabelledSource):
    """A source bound to the options of a fit, which say what of it counts, and how much."""

    def __init__(
        self,
        data: Any,
        options: LabelledOptions = LabelledOptions(),  # noqa: B008 frozen
        progress: Progress = silent,
        *,
        testing: bool = False,
    ) -> None:
        """Nothing is read yet.

        Args:
            data: whatever `LabelledSource` takes, or one.
            options: of the fit.
            progress: told of what is read.
            testing: the data are for a test and may be few.

        Raises:
            BadOption: for what is no data, and where source and options name different labels.
        """
        source = data if isinstance(data, LabelledSource) else LabelledSource(data)
        super().__init__(source.given, _one_name(source.keys, options.keys), progress)
        self.options = options
        self._testing = testing
        self._dropped: frozenset[tuple[str, int]] = frozenset()

    @cached_property
    def survey(self) -> Survey:
        """What the data hold; raises `BadFile` or `BadOption` for what cannot be used (see `survey_labels`)."""
        options = self.options
        survey = survey_labels(
            self.given, self.keys, max_bad=options.max_bad, energies=options.energy_weight > 0.0,
            forces=options.force_weight > 0.0, stress=options.stress != "none" and options.stress_weight > 0.0,
            contradictions=options.contradictions, progress=self.progress,
        )  # fmt: skip
        if not self._testing:
            _enough(survey, options)
        return survey

    @cached_property
    def references(self) -> References:
        """Reference energies of the elements, as the options say."""
        return reference_energies(self.survey, self.options.reference_energies)

    @cached_property
    def spread(self) -> Spread:
        """What compositions alone leave of the energies."""
        return composition_spread(self.survey)

    @property
    def left_out(self) -> frozenset[tuple[str, int]]:
        """File and frame of what is not read."""
        return self.survey.left_out | self._dropped

    def without(self, places: frozenset[tuple[str, int]]) -> LabelledData:
        """Return the same data less some frames, given as (file, frame)."""
        rest = LabelledData(self, self.options, self.progress, testing=self._testing)
        rest._dropped = self._dropped | places
        rest.__dict__["survey"] = self.survey.without(places)
        return rest

    def weight(self, frame: Labelled) -> float:
        """Return the weight of a frame, as the options say."""
        return frame_weight(frame, self.options)

    def large_config_types(self) -> set[str]:
        """Return the config_types with frames enough to have errors of their own."""
        return {kind for kind, frames in self.survey.config_types.items() if kind and frames >= LEAST_OF_A_KIND}

    def folds(self) -> Folds:
        """Split the data for cross-validation, as the options say."""
        return Folds(self.survey, self.options.folds, self.options.seed)


def _one_name(source: LabelKeys, options: LabelKeys) -> LabelKeys:
    """Return the names that a source and the options of a fit give together."""
    names = {}
    for kind, name in vars(source).items():
        other = getattr(options, kind)
        if name and other and name != other:
            raise BadOption(f"the {kind} is '{name}' for the source, and '{other}' for the fit: give it once")
        names[kind] = name or other
    return LabelKeys(**names)


def _enough(survey: Survey, options: LabelledOptions) -> None:
    """Refuse training data that cannot determine anything."""
    files = survey.files[0] if len(survey.files) == 1 else f"{len(survey.files)} files"
    if survey.frames == 1:
        raise BadFile(f"{files}: there is one labelled frame; a fit needs several, better tens, so add more")
    if not survey.forces and survey.energies < LEAST_ENERGIES:
        raise BadFile(
            f"{files}: there are no forces, and {survey.energies} energies alone determine no potential; add forces"
            f" (looked for as {options.forces_key or 'REF_forces, dft_forces, forces ...'}, else --forces-key), or"
            f" {LEAST_ENERGIES} frames and more"
        )
    unknown = set(options.config_weights) - set(survey.config_types)
    if unknown:
        name, kinds = sorted(unknown)[0], [kind for kind in survey.config_types if kind]
        there = f"there are {', '.join(kinds)}" if kinds else "no frame has one"
        raise BadOption(f"--config-weights {name}: no frame has this config_type{did_you_mean(name, kinds)}; {there}")


def check_together(train: LabelledData, test: LabelledData) -> LabelledData:
    """Hold test data against training data, and return the test data to use.

    Raises `BadFile` when the test has an element that the training data lack, and, unless the options say otherwise,
    when frames are in both.
    """
    elements = test.survey.elements.keys() - train.survey.elements.keys()
    if elements:
        names = ", ".join(chemical_symbols[z] for z in sorted(elements))
        file, frame = _first_with(test.survey, elements)
        raise BadFile(
            f"{file}, frame {frame}: the test data hold {names}, which the training data lack; add training frames"
            f" with {names} or take these out of the test"
        )
    if train.options.duplicates == "keep":
        return test
    pairs = test.survey.columns.shared(train.survey.columns)
    if not pairs:
        return test
    if train.options.duplicates == "drop":
        return test.without(frozenset(test.survey.columns.place(k) for k, _ in pairs))
    names = "; ".join(_pair(test.survey, train.survey, k, m) for k, m in pairs[:SHOWN])
    more = f"; and {len(pairs) - SHOWN:,} more" if len(pairs) > SHOWN else ""
    raise BadFile(
        f"{len(pairs):,} test frames are training frames as well: {names}{more}. A test on these says nothing: take"
        " them out of one of the two, or pass --duplicates drop to leave them out of the test"
    )


def _pair(test: Survey, train: Survey, k: int, m: int) -> str:
    (file, frame), (other, number) = test.columns.place(k), train.columns.place(m)
    return f"{file}, frame {frame} = {other}, frame {number}"


def _first_with(survey: Survey, elements: set[int]) -> tuple[str, int]:
    """Return the first frame that has one of these elements."""
    columns = survey.columns
    have = [any(z in elements for z, _ in composition) for composition in columns.compositions]
    return columns.place(int(np.argmax(np.array(have)[columns.formula_f])))


def frame_weight(frame: Labelled, options: LabelledOptions) -> float:
    """Return the weight of a frame: its own times that of its config_type."""
    return frame.weight * options.config_weights.get(frame.config_type, 1.0)


def stress_rows(options: LabelledOptions) -> Floats:
    """Return what of a stress is fitted: rows (m, 6) over its components xx yy zz yz xz xy.

    Six rows for the full stress, five for the deviatoric one (which a constant pressure leaves alone), none at all when
    stresses are left out. The rows are orthonormal over these six numbers.
    """
    if options.stress == "none":
        return np.zeros((0, 6))
    return np.eye(6) if options.stress == "full" else DEVIATORIC.copy()


class Folds:
    """Parts of equal size for cross-validation, with every kind of frame in all parts.

    Frames of one group are in one part, and so are copies of a frame.
    Raises `BadOption` when there are fewer groups than parts.
    """

    def __init__(self, survey: Survey, count: int, seed: int) -> None:
        columns = survey.columns
        # Frames of their own are groups of their own, numbered behind the named groups; copies go with their original.
        own_f = np.where(columns.group_f >= 0, columns.group_f, len(columns.groups) + np.arange(len(columns)))
        group_f = np.where(columns.group_f >= 0, columns.group_f, own_f[columns.first_f()])
        groups, first, inverse = np.unique(group_f, return_index=True, return_inverse=True)
        if len(groups) < count:
            raise BadOption(
                f"{count} folds need {count} groups of frames, and there are {len(groups)}; choose fewer with --folds"
            )
        self.count = count
        weight_g = np.bincount(inverse, columns.atoms_f)
        kind_g = columns.config_f[first]
        fold_g = _deal(weight_g, kind_g, count, seed)
        fold_f = fold_g[inverse]
        self._fold_of: Mapping[tuple[str, int], int] = {
            columns.place(k): int(fold) for k, fold in enumerate(fold_f.tolist())
        }

    def of(self, frame: Labelled) -> int:
        """Return the fold of a frame, 0 to count - 1."""
        return self._fold_of[frame.file, frame.frame]


def _deal(weight_g: NDArray[np.number[Any]], kind_g: Ints, count: int, seed: int) -> Ints:
    """Deal groups to folds, kind by kind, in random order but the largest first, each to the lightest fold."""
    rng = np.random.default_rng(seed)
    fold_g = np.zeros(len(weight_g), dtype=np.int64)
    load = np.zeros(count)
    for kind in np.unique(kind_g):
        mine = rng.permutation(np.flatnonzero(kind_g == kind))
        own = np.zeros(count)
        for g in mine[np.argsort(-weight_g[mine], kind="stable")]:
            # Of the folds with least of this kind, the lightest.
            fold = min(range(count), key=lambda k: (own[k], load[k]))
            fold_g[g] = fold
            own[fold] += weight_g[g]
            load[fold] += weight_g[g]
    return fold_g
