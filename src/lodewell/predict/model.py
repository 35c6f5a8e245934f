"""A trained model: an ensemble of one network with its targets and its card, in one safetensors file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lodewell.crystals.batch import Floats
from lodewell.errors import BadFile, BadOption, LodewellError
from lodewell.files import atomic_path
from lodewell.predict.architecture import Architecture, Arrays, collate, make_architecture
from lodewell.predict.targets import Target, composition

if TYPE_CHECKING:
    import torch

FORMAT = 1
SUFFIX = ".safetensors"
SHIPPED = "properties"
_KEY = "lodewell"
_CURE = "train it again, or use the version of lodewell that wrote it"
_NEEDED = ("elements", "calibration", "novelty")  # of the card, without which no prediction can be judged


def need_torch() -> None:
    """Raise LodewellError with the cure unless torch and safetensors are installed."""
    from importlib.util import find_spec

    if find_spec("torch") is None or find_spec("safetensors") is None:
        raise LodewellError("property prediction needs torch and safetensors: pip install 'lodewell[predict]'")


@dataclass(frozen=True)
class Description:
    """What is seen of crystals, to tell unusual ones.

    | field | shape | meaning |
    |---|---|---|
    | `state_bd` | (B, D) | what the last layers of the first network read |
    | `density_bs` | (B, S) | how many atoms stand how far from an atom, on average |
    | `composition_bz` | (B, 119) | share of each element |
    """

    state_bd: Floats
    density_bs: Floats
    composition_bz: Floats

    @classmethod
    def joined(cls, parts: Sequence[Description]) -> Description:
        """Put crystals one after the other."""
        return cls(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)))


@dataclass
class Model:
    """Networks that were trained alike from different seeds, and what is known about them.

    | field | meaning |
    |---|---|
    | `members` | the networks |
    | `targets` | what they predict, in the order of their outputs |
    | `card` | plain words and numbers: data, licence, seeds, errors, calibration ... |
    | `arrays` | what the card needs in numbers, by name (held-out predictions, places of crystals trained on) |
    """

    architecture: Architecture
    targets: list[Target]
    members: list[torch.nn.Module]
    card: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def parameters(self) -> int:
        """Numbers that one member learnt."""
        return sum(p.numel() for p in self.members[0].parameters())

    def evaluate(self, crystals: list[Arrays], device: str = "cpu") -> tuple[Floats, Description]:
        """Return each member's values (M, B, T), in the targets' units, and what is seen of the crystals."""
        import torch

        from lodewell.predict.process import torch_threads

        arrays = collate(self.architecture.fields, crystals)
        batch = {name: torch.from_numpy(array).to(device) for name, array in arrays.items()}
        fractions = composition(arrays["number"], arrays["weight"], arrays["crystal_of_orbit"], len(crystals))
        with torch.inference_mode(), torch_threads(1):  # more wait for each other longer than these batches last
            raw_mbt = np.stack([member.eval()(batch).cpu().numpy() for member in self.members])
            state: torch.Tensor = self.members[0].embed(batch)  # type: ignore[operator]
        values = [
            [target.restore(raw_bt[:, t], fractions) for t, target in enumerate(self.targets)] for raw_bt in raw_mbt
        ]
        density_bs = np.array([self.architecture.surroundings(one) for one in crystals], dtype=np.float64)
        seen = Description(state.cpu().numpy().astype(np.float64), density_bs, fractions)
        return np.array(values).transpose(0, 2, 1), seen

    def save(self, path: str | Path) -> None:
        """Write the model; an interrupted writing leaves what was there.

        Raises:
            BadFile: when it cannot be written.
        """
        from safetensors.numpy import save

        tensors = {f"array.{name}": np.ascontiguousarray(array) for name, array in self.arrays.items()}
        for k, member in enumerate(self.members):
            for name, tensor in member.state_dict().items():
                tensors[f"{k}.{name}"] = np.ascontiguousarray(tensor.detach().cpu().numpy())
        about = {
            "format": FORMAT,
            "architecture": self.architecture.name,
            "version": self.architecture.version,
            "settings": self.architecture.settings,
            "targets": [target.as_dict() for target in self.targets],
            "members": len(self.members),
            "card": self.card,
        }
        with atomic_path(path) as temporary:
            temporary.write_bytes(save(tensors, metadata={_KEY: json.dumps(about)}))


def shipped_model(name: str) -> Path | None:
    """Return the file of a shipped model, or None."""
    found = resources.files("lodewell") / "data" / f"{name}{SUFFIX}"
    return Path(str(found)) if found.is_file() else None


def find_model(name: str | Path) -> Path:
    """Return the file of a model: of a shipped name, a file itself, or the one in a folder of `lodewell train`.

    Raises:
        BadFile: when there is none.
    """
    place = shipped_model(str(name)) or Path(name)
    if place.is_dir():
        place = place / f"model{SUFFIX}"
        if not place.exists():
            raise BadFile(f"{name}: the folder holds no {place.name}; `lodewell train ... --out {name}` writes it")
    if not place.exists():
        raise BadFile(f"{name}: there is no such file, and no shipped model of that name (there is '{SHIPPED}')")
    if place.suffix == ".checkpoint":
        raise BadFile(f"{name}: a checkpoint, with which `lodewell train` goes on; give the model{SUFFIX} beside it")
    return place


def load_model(name: str | Path = SHIPPED) -> Model:
    """Read a model: of a shipped name, a file, or a folder that `lodewell train` wrote.

    Raises:
        BadFile: when there is none, the file is damaged, holds no model, or one of another version.
        LodewellError: when torch is missing.
    """
    need_torch()
    path = find_model(name)
    import torch
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as handle:
            about = json.loads((handle.metadata() or {}).get(_KEY, "null"))
            tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118 it is no mapping
    except (OSError, SafetensorError, ValueError) as err:
        raise BadFile(f"{path}: cannot be read as a model ({err}); train it again or copy it anew") from err
    if not isinstance(about, dict):
        raise BadFile(f"{path}: it holds tensors, but no model of lodewell; give a file that `lodewell train` wrote")
    if about.get("format") != FORMAT:
        raise BadFile(f"{path}: a model of format {about.get('format')}, but this lodewell reads {FORMAT}; {_CURE}")
    try:
        architecture = make_architecture(about["architecture"], about["settings"])
        targets = [Target(**item | {"reference_z": tuple(item["reference_z"])}) for item in about["targets"]]
    except (BadOption, KeyError, TypeError) as err:
        raise BadFile(f"{path}: what it says of its network is not understood ({err}); {_CURE}") from err
    missing = [name for name in _NEEDED if name not in about.get("card", {})]
    if missing:
        raise BadFile(f"{path}: its card says nothing of {', '.join(missing)}; {_CURE}")
    if about["version"] != architecture.version:
        raise BadFile(
            f"{path}: its network is '{architecture.name}' of version {about['version']}, but this lodewell has version"
            f" {architecture.version}; {_CURE}"
        )
    members = []
    for k in range(about["members"]):
        with torch.random.fork_rng([]):  # weights are drawn first, and read then
            module = architecture.module(len(about["targets"]))
        prefix = f"{k}."
        state = {n.removeprefix(prefix): torch.from_numpy(a) for n, a in tensors.items() if n.startswith(prefix)}
        try:
            module.load_state_dict(state)
        except RuntimeError as err:
            raise BadFile(f"{path}: member {k} does not fit its network ({str(err).splitlines()[-1].strip()})") from err
        members.append(module.eval())
    arrays = {n.removeprefix("array."): a for n, a in tensors.items() if n.startswith("array.")}
    return Model(architecture, targets, members, about["card"], arrays)
