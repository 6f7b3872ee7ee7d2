"""The blocks of a file that lava-dl wrote, one after the other; for `netx_import`."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from export import hdf5_fields as fields
from export.errors import HardspikeError
from export.network import Conv, Dense, Layer, LoihiLIF, Shape, Synapse
from export.neurons import NO_CURRENT
from hardware.loihi.dense_loader import loaded_weights
from hardware.loihi.limits import LONGEST_DELAY

MOST_LAYERS = 1024
MOST_NEURONS = 1 << 22
"""Of a layer: more than a chip holds."""
INPUT_WEIGHT = 64
"""What netx multiplies the input with where an input block has a neuron and no weight."""
_NEURONS = ("CUBA", "LOIHI")
_UNLOADABLE = ("pool", "convT", "unpool", "average", "concat", "dense_comp")


@dataclass(frozen=True)
class NetxNote:
    """Where netx runs something else than SLAYER trained: the group of the file, and what."""

    where: str
    what: str


@dataclass(frozen=True, eq=False)
class NetxFile:
    """The layers of a file as netx runs them, the input's shape, and notes."""

    input_shape: tuple[int, int, int]
    layers: tuple[Layer[LoihiLIF], ...]
    notes: tuple[NetxNote, ...]


class Blocks:
    """Reads the groups of a file in order and keeps the shape that each hands on."""

    def __init__(self, file: Any, input_shape: tuple[int, int, int] | None) -> None:
        self._file, self._input = file, input_shape
        self._shape: Shape | None = input_shape
        self._flattened = self._is_vector = False
        self._layers: list[Layer[LoihiLIF]] = []
        self._notes: list[NetxNote] = []

    def read(self) -> NetxFile:
        """Return what the file holds."""
        count = len(fields.group(self._file, "layer"))
        if not 1 <= count <= MOST_LAYERS:
            raise HardspikeError(f"layer: found {count} groups, allowed 1 to {MOST_LAYERS}")
        for index in range(count):
            self._add(index, fields.group(self._file, f"layer/{index}"))
        if not self._layers or self._input is None:
            raise HardspikeError("layer: found no block with neurons, allowed at least one")
        return NetxFile(self._input, tuple(self._layers), tuple(self._notes))

    def _add(self, index: int, group: Any) -> None:
        kind = fields.word(group, "type")
        match kind:
            case "input":
                self._add_input(index, group)
            case "flatten":
                self._flattened = True
            case "conv":
                self._add_layer(f"conv{index}", group, self._conv(group))
            case "dense" | "dense_rec":
                self._add_dense(f"{kind.replace('_', '')}{index}", group, kind == "dense_rec")
            case _:
                known = "netx cannot load it" if kind in _UNLOADABLE else "netx knows no such block"
                raise self._fault(
                    group,
                    f"type: found {kind!r} ({known}), allowed input, dense, dense_rec, "
                    "conv and flatten",
                )

    def _add_input(self, index: int, group: Any) -> None:
        shape = tuple(int(size) for size in fields.whole_numbers(group, "shape", (1,)))
        if index or len(shape) not in (1, 3) or min(shape) < 1:
            raise self._fault(
                group, f"input of shape {shape}: allowed (C,) or (C, H, W) in the first group"
            )
        self._is_vector = len(shape) == 1
        full = (shape[0], 1, 1) if len(shape) == 1 else (shape[0], shape[1], shape[2])
        self._check_size(group, full)
        if self._input not in (None, full):
            raise self._fault(group, f"shape: found {full}, the input was said to be {self._input}")
        self._input = self._shape = full
        if "neuron" not in group:
            return
        weight = self._one(group, "weight", INPUT_WEIGHT)
        bias = self._one(group, "bias", 0)
        kernel = np.full((full[0], 1, 1, 1), weight, np.int32)
        synapse = Conv(kernel, np.full(full[0], bias, np.int32), groups=full[0])
        layer = Layer(f"input{index}", synapse, *self._neuron(group, full[0]))
        # The input reaches the membrane as a bias, past the synaptic current.
        neuron = replace(layer.neuron, current_decay=NO_CURRENT)
        self._layers.append(replace(layer, neuron=neuron, current_decay_O=None))
        if layer.neuron.current_decay != NO_CURRENT:
            self._note(group, "netx feeds the input past the synaptic current of this neuron")

    def _check_size(self, group: Any, shape: Shape) -> None:
        if math.prod(shape) > MOST_NEURONS:
            raise self._fault(group, f"shape: found {shape}, allowed up to {MOST_NEURONS} neurons")

    def _one(self, group: Any, key: str, default: int) -> int:
        if key not in group:
            return default
        found = fields.whole_numbers(group, key, (0, 1, 2))
        if found.size != 1:
            raise self._fault(group, f"{key}: found {found.size} numbers, allowed one")
        return int(found.ravel()[0])

    def _conv(self, group: Any) -> Conv:
        if self._shape is None:
            raise self._fault(group, "the input's shape is missing: the file has no input block")
        if self._is_vector:
            raise self._fault(group, f"netx takes (C, H, W) here, found a vector of {self._shape}")
        weight = fields.whole_numbers(group, "weight", (4, 5))
        if weight.ndim == 5 and weight.shape[4] != 1:
            raise self._fault(group, f"weight: found shape {weight.shape}, allowed (O, I, H, W)")
        weight = weight.reshape(weight.shape[:4])
        groups = self._one(group, "groups", 1)
        if "delay" in group:
            self._note(group, "netx ignores the delays of a convolution")
        return Conv(
            weight,
            self._bias(group, len(weight), (len(weight),)),
            self._pair(group, "stride", 1),
            self._pair(group, "padding", 0),
            self._pair(group, "dilation", 1),
            groups,
        )

    def _pair(self, group: Any, key: str, least: int) -> tuple[int, int]:
        values = fields.whole_numbers(group, key, (0, 1)).ravel()
        if values.size not in (1, 2) or values.min() < least or values.max() > 127:
            raise self._fault(group, f"{key}: found {values}, allowed two from {least} to 127")
        return int(values[0]), int(values[-1])

    def _bias(self, group: Any, outputs: int, sizes: tuple[int, ...]) -> Any:
        if "bias" not in group:
            return None
        bias_O = fields.whole_numbers(group, "bias", (1,))
        if bias_O.size not in sizes:
            raise self._fault(
                group, f"bias: found {bias_O.size} numbers, netx takes {outputs} here"
            )
        return np.broadcast_to(bias_O, (outputs,)).copy()

    def _add_dense(self, name: str, group: Any, recurs: bool) -> None:
        outputs = math.prod(int(size) for size in fields.whole_numbers(group, "shape", (1,)))
        weight_OI = self._matrix(group, "weight", outputs)
        recurrent_OO = self._matrix(group, "weight_rec", outputs) if recurs else None
        inputs = weight_OI.shape[1]
        if self._shape is None:
            self._input = self._shape = (inputs, 1, 1)
        if math.prod(self._shape) != inputs:
            raise self._fault(group, f"weight: takes {inputs} inputs, found {self._shape}")
        if self._layers and self._flattened == self._is_vector:
            raise self._fault(
                group,
                "netx cannot connect it: allowed is one 'flatten' between (C, H, W) and dense",
            )
        delay_N, weight_OI, recurrent_OO = self._loaded(group, weight_OI, recurrent_OO)
        synapse = Dense(weight_OI, self._bias(group, outputs, (1, outputs)))
        recurrent = None if recurrent_OO is None else Dense(recurrent_OO)
        self._flattened, self._is_vector = False, True
        self._add_layer(name, group, synapse, recurrent, delay_N)

    def _matrix(self, group: Any, key: str, outputs: int) -> Any:
        if key not in group or hasattr(group[key], "keys"):
            raise self._fault(group, f"{key}: found none, or a complex one, allowed (O, I)")
        weight = fields.whole_numbers(group, key, (1, 2))
        if weight.ndim == 1 and outputs and weight.size % outputs == 0:
            weight = weight.reshape(outputs, -1)
        square = key == "weight" or weight.shape == (outputs, outputs)
        if weight.ndim != 2 or len(weight) != outputs or not square:
            raise self._fault(group, f"{key}: found shape {weight.shape} for {outputs} neurons")
        return weight

    def _loaded(self, group: Any, weight_OI: Any, recurrent_OO: Any) -> tuple[Any, Any, Any]:
        """Return (delays, weights, recurrent weights) as netx's loader and Lava's model do."""
        delay_N = self._delay(group, weight_OI, recurrent_OO)
        parts = [weight_OI] if recurrent_OO is None else [weight_OI, recurrent_OO]
        if max(np.abs(part).max() for part in parts) > 256:
            raise self._fault(group, "weight: netx clips it, allowed from -256 to 254")
        if not any(part.any() for part in parts):
            raise self._fault(group, "weight: found all zero, where netx divides by zero")
        shift, used = loaded_weights(parts)
        if any((part << shift != one).any() for part, one in zip(parts, used, strict=True)):
            self._note(group, "netx's loader changes these weights, of which none is above 0")
        if delay_N is not None and recurrent_OO is not None:
            if shift:
                self._note(
                    group,
                    f"netx loses the exponent of a delayed recurrent block: its weights act "
                    f"{1 << shift} times as strong",
                )
        else:
            used = [one >> shift for one in used]
        used = [one.astype(np.int32) for one in used]
        if any(
            (one % 2).any() and not (part % 2).any() for one, part in zip(used, parts, strict=True)
        ):
            raise self._fault(
                group,
                "weight: netx makes -255 of the least, -256, where no weight is above 0: "
                "allowed -254 and above there",
            )
        return delay_N, used[0], used[1] if len(used) == 2 else None

    def _delay(self, group: Any, weight_OI: Any, recurrent_OO: Any) -> Any:
        if "delay" not in group:
            return None
        delay = fields.whole_numbers(group, "delay", (1,))
        outputs, inputs = weight_OI.shape
        if delay.size != outputs:
            raise self._fault(
                group,
                f"delay: found {delay.size}, allowed {outputs} (netx takes no other, or "
                "takes them for delays of the inputs)",
            )
        if recurrent_OO is not None and inputs != outputs:
            raise self._fault(
                group,
                f"delay: netx loads those of a recurrent block only where it has as many "
                f"inputs as neurons, found {inputs} and {outputs}",
            )
        if delay.min() < 0:
            raise self._fault(group, f"delay: found {delay.min()}, allowed 0 and above")
        if delay.max() > LONGEST_DELAY:
            self._note(group, f"netx clamps delays at {LONGEST_DELAY} steps")
        if "bias" in group or recurrent_OO is not None:
            self._note(
                group,
                "netx delays what these neurons take instead of what they send, which differs "
                "where they have a bias or recurrent synapses",
            )
        return np.minimum(delay, LONGEST_DELAY)

    def _add_layer(
        self,
        name: str,
        group: Any,
        synapse: Synapse,
        recurrent: Dense | None = None,
        dendrite_delay_N: Any = None,
    ) -> None:
        assert self._shape is not None
        try:
            shape = synapse.output_shape(self._shape)
        except HardspikeError as error:
            raise self._fault(group, str(error)) from error
        self._check_size(group, shape)
        said = tuple(int(size) for size in fields.whole_numbers(group, "shape", (1,)))
        if isinstance(synapse, Conv) and said != shape:
            raise self._fault(group, f"shape: found {said}, allowed {shape}")
        made = Layer(name, synapse, *self._neuron(group, len(synapse.weight)))
        self._layers.append(replace(made, recurrent=recurrent, dendrite_delay_N=dendrite_delay_N))
        self._shape = shape

    def _neuron(self, group: Any, outputs: int) -> tuple[Any, ...]:
        """Return the fields of a layer from its neuron on, to the decays of each channel."""
        if "neuron" not in group:
            # netx: u adds up for ever, v = u + bias, and no membrane reaches the threshold.
            return LoihiLIF(4096, 1 << 17, -1), 1.0
        neuron = fields.group(group, "neuron")
        if (kind := fields.word(neuron, "type")) not in _NEURONS:
            raise self._fault(group, f"neuron/type: found {kind!r}, allowed {', '.join(_NEURONS)}")
        if "messageBits" in neuron and self._one(neuron, "messageBits", 0):
            raise self._fault(group, "neuron/messageBits: found graded spikes, allowed 0")
        for key, usual in (("gradedSpike", 0), ("refDelay", 1), ("weight_exp", 0)):
            if key in neuron and self._one(neuron, key, usual) != usual:
                self._note(group, f"netx ignores neuron/{key}")
        threshold = self._one(neuron, "vThMant", 0)
        decays = [self._decays(neuron, key, outputs) for key in ("iDecay", "vDecay")]
        (du, du_O), (dv, dv_O) = (decays[0][0] - 1, decays[0][1]), decays[1]
        du_O = None if du_O is None else du_O - 1
        layer_rest = (1.0, None, None, None, None, None, du_O, dv_O)
        return LoihiLIF(dv, threshold, du), *layer_rest

    def _decays(self, neuron: Any, key: str, outputs: int) -> tuple[int, Any]:
        """Return the least decay, and one of each channel where the file has that."""
        values = fields.whole_numbers(neuron, key, (0, 1))
        if values.size == 1:
            return int(values.ravel()[0]), None
        if values.shape != (outputs,):
            raise self._fault(neuron, f"{key}: found {values.size}, allowed 1 or {outputs}")
        return int(values.min()), values

    def _note(self, group: Any, what: str) -> None:
        self._notes.append(NetxNote(fields.name_of(group), what))

    @staticmethod
    def _fault(group: Any, what: str) -> HardspikeError:
        return HardspikeError(f"{fields.name_of(group)}: {what}")
