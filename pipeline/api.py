"""hardspike from Python: a network is imported, converted, deployed and evaluated without a run.

    from pipeline.api import convert, deploy, evaluate, import_network

    network = import_network("cnn.nir", dt=1.0, reset="zero", steps=100)
    integers = convert(network, spikes_BTCHW=training_spikes)
    deploy(integers, "deployed", network)
    results = evaluate("deployed", test_spikes, labels_B=test_labels)
    print(results["onnxruntime"].accuracy, results["onnxruntime"].equal)

Nothing is printed; what goes wrong is one `export.errors.HardspikeError` with a line a fault.

Axes: `B` recording, `T` time step, `C` channel, `H` height, `W` width, `N` output neuron.
"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from export.errors import HardspikeError
from export.files import replacing
from export.imported.reading import Options
from export.imported.toolkits.names import TOOLKIT_NAMES, ToolkitName
from export.network import (
    LIF,
    FixedPointNetwork,
    HardSpikeNetwork,
    LoihiLIF,
    Network,
    Readout,
    Reset,
)
from export.netx_file import APPROXIMATED_FILE, read_netx
from export.neurons import LONGEST_REFRACTORY
from hardware.loihi.approximate import (
    Approximation,
    approximate_reset,
    disagreement,
)
from hardware.loihi.discretize import discretize
from hardware.membrane_error import input_statistics
from hardware.reference import chunk_size, run_float
from hardware.target import TargetRun
from hardware.targets import TARGETS, TargetOptions
from pipeline.api_results import Spikes, TargetResult, approximated, measured, run_target
from pipeline.approximate import random_spikes
from pipeline.deploy import NIR, write_files
from pipeline.imported.reading import import_network as _import_network

__all__ = ["TargetResult", "convert", "deploy", "evaluate", "import_network"]

ORACLE = "reference"
_LOIHI_LIMIT_S = 600.0


def import_network(
    file: str | Path,
    *,
    dt: float | None = None,
    reset: Reset | None = None,
    readout: Readout | None = None,
    steps: int | None = None,
    input_shape: tuple[int, int, int] | None = None,
    input_max: int | None = None,
    refractory: int | None = None,
    toolkit: ToolkitName | None = None,
    settings: Mapping[str, object] | None = None,
) -> HardSpikeNetwork | FixedPointNetwork:
    """Return the network of a NIR, netx or ONNX file: a NIR file's is in float, others in integers.

    What the file leaves open has to be said: `dt`, a step in the file's unit of time; `reset`, what
    a spike does to the membrane; `readout`; `steps`, T; `input_shape`, (C, H, W); `input_max`, the
    largest input value (1 for spikes); and `refractory`, the steps behind a spike in which a NIR
    file's neurons hold their membrane at its reset.

    `toolkit` is who wrote a NIR file: the network gives that toolkit's spikes where it can, and
    `hardspike check FILE --from TOOLKIT` says where not. `settings` are keyword arguments of the
    toolkit's neurons that its files do not hold: `{"norm_input": False}` of sinabs.

    Raises:
        HardspikeError: the file is absent, damaged or of another format, leaves something open that
            matters, says other than the arguments, or holds what the contract has no place for.
    """
    if input_max is not None and not 1 <= input_max <= 255:
        raise HardspikeError(f"input_max: found {input_max}, allowed 1 to 255")
    if refractory is not None and not 1 <= refractory <= LONGEST_REFRACTORY:
        raise HardspikeError(
            f"refractory: found {refractory}, allowed 1 to {LONGEST_REFRACTORY} steps"
        )
    shape = None
    if input_shape is not None:
        if len(input_shape) != 3:
            raise HardspikeError(f"input_shape: found {input_shape}, allowed (C, H, W)")
        shape = (input_shape[0], input_shape[1], input_shape[2])
    if toolkit not in (None, *TOOLKIT_NAMES):
        raise HardspikeError(f"toolkit: found {toolkit!r}, allowed {', '.join(TOOLKIT_NAMES)}")
    said = tuple(f"{name}={value}" for name, value in (settings or {}).items())
    options = Options(dt, reset, readout, steps, shape, None, input_max, refractory, toolkit, said)
    return _import_network(Path(file), options).network


def convert(
    network: HardSpikeNetwork,
    *,
    weight_bits: int = 8,
    spikes_BTCHW: Spikes | None = None,
) -> FixedPointNetwork:
    """Return a float network in Loihi's integers, with weights of 2 to 8 bits, sign included.

    With `spikes_BTCHW`, recordings that are not those it will be tested on (some 200 suffice), the
    error of the membrane chooses the scales and the rounding; without, the largest weight does.

    Raises:
        HardspikeError: the network is in integers already, the spikes do not fit it, or a layer
            does not fit a register; one line a fault.
    """
    _check_kind(network, LIF)
    if not isinstance(weight_bits, int) or not 2 <= weight_bits <= 8:
        raise HardspikeError(f"weight_bits: found {weight_bits!r}, allowed 2 to 8")
    if spikes_BTCHW is None:
        return discretize(network, weight_bits)
    _check_spikes(network, spikes_BTCHW)
    largest = _largest_readout(network, spikes_BTCHW)
    return discretize(network, weight_bits, largest, input_statistics(network, spikes_BTCHW))


def _check_kind(network: Network[Any], kind: type[LIF] | type[LoihiLIF]) -> None:
    """Refuse a float network where integers are wanted, and the other way round."""
    if not isinstance(network.layers[0].neuron, kind):
        wanted, other = "a float network", "one in integers, as `convert` gives"
        if kind is LoihiLIF:
            raise HardspikeError(f"network: found {wanted}, allowed is {other}")
        raise HardspikeError(f"network: found integers, allowed is {wanted}")


def _largest_readout(network: HardSpikeNetwork, spikes_BTCHW: Spikes) -> float:
    """Return the largest |membrane| of a `membrane` readout, 0 for `count`."""
    if network.readout != "membrane":
        return 0.0
    chunk = chunk_size(network)
    starts = range(0, len(spikes_BTCHW), chunk)
    traces = (run_float(network, spikes_BTCHW[start : start + chunk]) for start in starts)
    return max(float(np.abs(trace.membranes_BTN).max()) for trace in traces)


def deploy(
    network: FixedPointNetwork,
    folder: str | Path,
    float_network: HardSpikeNetwork | None = None,
    *,
    approximate: tuple[Approximation, ...] = (),
    spikes_BTCHW: Spikes | None = None,
) -> list[Path]:
    """Write what ships into `folder` and return the files, each read back and compared.

    `model.net` (netx), `model.sequence.onnx` and `model.step.onnx` of `network`; and `model.nir` of
    `float_network`, from which it was converted, for NIR has no integers. Without it a NIR file of
    before is taken away. Files are put there whole, `model.net` last, once all of them are right.

    `approximate=("reset",)` adds `model.approximated.net`, which `loihi` then runs: what comes
    nearest, on `spikes_BTCHW` (or, without them, random spikes), to a network with subtractive
    reset, as `hardware.loihi.approximate` has it. The other files are the network's own.

    Raises:
        HardspikeError: the networks are not one float and in integers, no layer has what is to be
            approximated, a limit is exceeded, a file
            differs from its network, or the folder cannot be written.
    """
    place = Path(folder)
    _check_kind(network, LoihiLIF)
    if float_network is not None:
        _check_kind(float_network, LIF)
        _check_same(network, float_network)
    stand_in = _stand_in(network, approximate, spikes_BTCHW)
    with tempfile.TemporaryDirectory() as made:
        names = write_files(float_network, network, Path(made), stand_in)
        for name in names:
            with replacing(place / name) as temporary:
                temporary.write_bytes((Path(made) / name).read_bytes())
    if float_network is None:
        (place / NIR).unlink(missing_ok=True)
    if stand_in is None:
        (place / APPROXIMATED_FILE).unlink(missing_ok=True)
    return [place / name for name in names]


def _stand_in(
    network: FixedPointNetwork,
    approximate: tuple[Approximation, ...],
    spikes_BTCHW: Spikes | None,
) -> FixedPointNetwork | None:
    """Return what `loihi` runs in the network's place, None where that is the network."""
    unknown = [what for what in approximate if what not in get_args(Approximation)]
    if unknown or isinstance(approximate, str):
        found, allowed = unknown[0] if unknown else approximate, ", ".join(get_args(Approximation))
        raise HardspikeError(f"approximate: found {found!r}, allowed a tuple of {allowed}")
    if not approximate:
        return None
    if spikes_BTCHW is None:
        return approximate_reset(network, random_spikes(network))
    _check_spikes(network, spikes_BTCHW)
    return approximate_reset(network, spikes_BTCHW)


def _check_same(network: FixedPointNetwork, float_network: HardSpikeNetwork) -> None:
    """Refuse a float network that the integers were not converted from.

    Raises:
        HardspikeError: layers, shapes, steps, their length or the readout differ.
    """
    for what, one, other in (
        ("layers", *([layer.name for layer in each.layers] for each in (network, float_network))),
        ("shapes", network.shapes, float_network.shapes),
        ("steps", network.steps, float_network.steps),
        ("dt", network.dt, float_network.dt),
        ("readout", network.readout, float_network.readout),
    ):
        if one != other:
            raise HardspikeError(
                f"float_network: {what}: found {other}, the network in integers has {one}"
            )


def evaluate(
    folder: str | Path,
    spikes_BTCHW: Spikes,
    labels_B: NDArray[Any] | None = None,
    *,
    targets: Sequence[str] = (ORACLE, "onnxruntime"),
    threads: int = 0,
) -> Mapping[str, TargetResult]:
    """Run deployed files on targets and hold each to the reference, which runs in any case.

    `targets` are of `reference`, `onnxruntime`, `onnxruntime-step` and `loihi` (Lava's simulator:
    some hundred steps a second). `threads` are ONNX Runtime's, 0 for all.

    Raises:
        HardspikeError: a target is not known, the files or the spikes do not fit, or the reference
            cannot run. What other targets run into is in their result.
    """
    unknown = [name for name in targets if name not in TARGETS]
    if unknown:
        raise HardspikeError(f"targets: found {unknown[0]!r}, allowed {', '.join(TARGETS)}")
    artefacts = Path(folder)
    network = read_netx(artefacts / "model.net")
    _check_spikes(network, spikes_BTCHW)
    labels = None if labels_B is None else np.asarray(labels_B)
    if labels is not None and labels.shape != (len(spikes_BTCHW),):
        raise HardspikeError(
            f"labels_B: found shape {labels.shape}, allowed ({len(spikes_BTCHW)},), one a recording"
        )
    options = TargetOptions(threads, _LOIHI_LIMIT_S, lambda line: None)
    oracle = TARGETS[ORACLE](options).run(artefacts, spikes_BTCHW)
    found = {}
    for name in dict.fromkeys((ORACLE, *targets)):
        result = run_target(name, options, artefacts, spikes_BTCHW) if name != ORACLE else oracle
        found[name] = (
            result
            if isinstance(result, TargetResult)
            else measured(result, oracle, network.readout, labels)
        )
        if isinstance(result, TargetRun) and result.approximates:
            stand_in = read_netx(artefacts / APPROXIMATED_FILE)
            apart = disagreement(network, stand_in, spikes_BTCHW)
            found[name] = approximated(found[name], result, apart)
    return found


def _check_spikes(network: Network[Any], spikes_BTCHW: Spikes) -> None:
    """Hold recordings to a network's input.

    Raises:
        HardspikeError: they are no uint8, of another shape, of no recording, or too large.
    """
    shape = (network.steps, *network.input_shape)
    found = np.asarray(spikes_BTCHW)
    if found.dtype != np.uint8 or found.ndim != 5 or found.shape[1:] != shape or not len(found):
        raise HardspikeError(
            f"spikes_BTCHW: found {found.dtype} of shape {found.shape}, allowed uint8 of shape "
            f"(B, {', '.join(map(str, shape))}) with at least one recording"
        )
    if found.max() > network.input_max:
        raise HardspikeError(f"spikes_BTCHW: found {found.max()}, allowed 0 to {network.input_max}")
