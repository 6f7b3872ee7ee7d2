"""Measurements that lie beside the stages of a run, each made by a command of its own.

The report takes in those that are there and are of the network that is deployed now; its stage is
due again when one of them changes. Only what the report's page reads is checked.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from export.errors import HardspikeError
from export.files import read_json, sha256

_NETWORK = "deploy/model.net"
Interval = tuple[float, float]


class _Read(BaseModel):
    """Part of a measurement's file; what is not named here is passed on as it is."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)


class _Accuracy(_Read):
    accuracy: float
    ci95: Interval
    n: int


class _Cell(_Read):
    """One severity: an accuracy, or why it was refused."""

    severity: str
    accuracy: float | None = None
    ci95: Interval | None = None
    n: int | None = None
    retained: float | None = None
    refused: str | None = None


class _Row(_Read):
    title: str
    mean_accuracy: float | None
    mean_retained: float | None
    cells: Sequence[_Cell]


class _Robustness(_Read):
    """What `hardspike robustness` writes."""

    schema_: Literal["hardspike.robustness/1"] = Field(alias="schema")
    network_sha256: str
    target: str
    seed: int
    clean: _Accuracy
    events: Sequence[_Row]
    faults: Sequence[_Row]
    mean_retained: Mapping[Literal["events", "faults"], float | None]

    @property
    def measured(self) -> str:
        """The SHA-256 of the network that was measured."""
        return self.network_sha256


class _Histogram(_Read):
    edges_ms: Sequence[float]
    counts: Sequence[int]
    above: int


class _Times(_Read):
    p50_ms: float
    p95_ms: float
    p99_ms: float
    min_ms: float
    histogram: _Histogram


class _Ratios(_Read):
    p50: float


class _Batch(_Read):
    batch: int
    recordings_per_second: float


class _Throughput(_Read):
    batches: Sequence[_Batch]
    best_batch: int


class _Threads(_Read):
    threads: int
    times: Mapping[str, _Times]
    network_over_products: _Ratios
    throughput: _Throughput


class _Machine(_Read):
    processor: str
    onnxruntime: str


class _Latency(_Read):
    """What `hardspike latency` writes."""

    schema_: Literal["hardspike.latency/1"] = Field(alias="schema")
    network_sha256: str
    machine: _Machine
    repeats: int
    warm_up: int
    results: Sequence[_Threads] = Field(min_length=1)

    @property
    def measured(self) -> str:
        """The SHA-256 of the network that was measured."""
        return self.network_sha256


class _Figure(_Read):
    mean: float
    sd: float


class _Estimate(_Read):
    """Joules and seconds of one recording by part, `total` among them."""

    label: str
    source: str
    joules: Mapping[str, _Figure]
    seconds: Mapping[str, _Figure]


class _Network(_Read):
    sha256: str


class _Mapping(_Read):
    cores: int
    limits: Mapping[str, int]
    layers: Sequence[Mapping[str, Any]]


class _Energy(_Read):
    """What `hardspike energy` writes."""

    schema_: Literal["hardspike.energy/1"] = Field(alias="schema")
    network: _Network
    mapping: _Mapping
    simulated: _Estimate
    published: _Estimate
    left_out: Sequence[str]

    @property
    def measured(self) -> str:
        """The SHA-256 of the network that was measured."""
        return self.network.sha256


_MODELS: Mapping[str, type[_Robustness | _Latency | _Energy]] = {
    "robustness": _Robustness,
    "latency": _Latency,
    "energy": _Energy,
}
BESIDE: Mapping[str, str] = {name: f"{name}/{name}.json" for name in _MODELS}
"""Section of the report → the file that it is read from, in the run's folder."""


def read_beside(run: Path) -> dict[str, Any]:
    """Return section → what its file holds, None where there is none of the deployed network.

    `outdated` names the sections whose file is of a network that was deployed before.

    Raises:
        HardspikeError: a file is not JSON, or lacks what the report reads; one line a fault.
    """
    deployed = sha256(run / _NETWORK)
    found: dict[str, Any] = dict.fromkeys(BESIDE)
    outdated = []
    for name, file in BESIDE.items():
        if (run / file).exists():
            tree = read_json(run / file)
            if _checked(name, tree, run / file) == deployed:
                found[name] = tree
            else:
                outdated.append(name)
    return found | {"outdated": outdated}


def _checked(name: str, tree: Any, file: Path) -> str:
    """Return the SHA-256 of the network that a measurement is of."""
    try:
        return _MODELS[name].model_validate(tree).measured
    except ValidationError as error:
        again = f"`hardspike {name}` makes it again"
        raise HardspikeError(
            *(
                f"{file}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}; {again}"
                for fault in error.errors()[:3]
            )
        ) from error


def beside_hashes(run: Path) -> dict[str, str]:
    """Return file → SHA-256 of the measurements that are there."""
    return {file: sha256(run / file) for file in BESIDE.values() if (run / file).exists()}
