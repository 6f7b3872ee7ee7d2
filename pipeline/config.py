"""The models of an experiment: frozen, strict, and a section's type picks the method."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from export.errors import HardspikeError
from export.imported.toolkits.names import ToolkitName
from export.network import Readout, Reset
from export.neurons import LONGEST_REFRACTORY
from hardware.loihi.approximate import Approximation
from hardware.loihi.scale_search import Rounding, ScaleBy
from pipeline.data.corruptions import Corruption, label, refusal
from pipeline.data.settings import DataSettings, NoRecordings
from pipeline.neuron import Forward
from pipeline.schema import Model
from pipeline.surrogate import SurrogateName
from pipeline.training.admm.settings import ADMM

Positive = Annotated[int, Field(ge=1)]
Decay = Annotated[float, Field(gt=0, le=1)]
Rate = Annotated[float, Field(gt=0)]
Momentum = Annotated[float, Field(ge=0, lt=1)]
TargetName = Literal["reference", "onnxruntime", "onnxruntime-step", "loihi"]


class ConvSettings(Model):
    """A convolution and its neurons. `tau` and `threshold` default to the network's."""

    type: Literal["conv"]
    channels: Positive
    kernel: Positive
    stride: Positive = 1
    padding: Annotated[int, Field(ge=0)] = 0
    bias: bool = False
    tau: Decay | None = None
    threshold: Rate | None = None


class DenseSettings(Model):
    """A dense layer and its neurons. `tau` and `threshold` default to the network's."""

    type: Literal["dense"]
    units: Positive
    bias: bool = False
    tau: Decay | None = None
    threshold: Rate | None = None


LayerSettings = Annotated[ConvSettings | DenseSettings, Field(discriminator="type")]


class NetworkSettings(Model):
    """A stack of layers; the last is dense with one neuron a class.

    `tau` is the share of the membrane kept a step, `threshold` is ϑ; `weight_gain` multiplies the
    initial weights, which are uniform in ±1/√fan-in before.
    """

    layers: Annotated[tuple[LayerSettings, ...], Field(min_length=1)]
    readout: Readout = "count"
    tau: Decay = 0.9
    threshold: Rate = 1.0
    surrogate: SurrogateName = "sigmoid"
    weight_gain: Annotated[float, Field(gt=0, le=1000)] = 2.0

    @field_validator("layers")
    @classmethod
    def _ends_dense(cls, layers: tuple[Any, ...]) -> tuple[Any, ...]:
        if layers[-1].type != "dense":
            raise ValueError("the last layer must be of type dense, with one unit a class")
        kinds = [layer.type for layer in layers]
        if "conv" in kinds[kinds.index("dense") :]:
            raise ValueError("a conv layer cannot follow a dense layer")
        return layers


class Adam(Model):
    """Adam (Kingma and Ba 2015)."""

    kind: Literal["adam"]
    learning_rate: Rate = 2e-3
    betas: tuple[Momentum, Momentum] = (0.9, 0.999)
    weight_decay: Annotated[float, Field(ge=0)] = 0.0


class SGD(Model):
    """Stochastic gradient descent with momentum."""

    kind: Literal["sgd"]
    learning_rate: Rate = 0.1
    momentum: Momentum = 0.9
    weight_decay: Annotated[float, Field(ge=0)] = 0.0


class RhoWarmup(Model):
    """ρ is 0 for `zero_epochs`, then rises linearly over `ramp_epochs` to its full value."""

    zero_epochs: Annotated[int, Field(ge=0)] = 5
    ramp_epochs: Annotated[int, Field(ge=0)] = 5


class Perturbation(Model):
    """The direction and the measure of ε.

    `gradient` is SAM's ascent step (Foret et al. 2021); `random` draws ε uniformly from the sphere
    of the same size, a control that needs one gradient and not two. `layer` gives every parameter
    tensor its own share of ρ, in proportion to its norm (as LookSAM, Liu et al. 2022); `adaptive`
    measures every weight in units of |w| + `eta` (ASAM, Kwon et al. 2021).
    """

    direction: Literal["gradient", "random"] = "gradient"
    scope: Literal["global", "layer"] = "global"
    adaptive: bool = False
    eta: Annotated[float, Field(ge=0)] = 0.01


class Finetune(Model):
    """More epochs after the last, from the best weights so far, closer to what is deployed.

    `forward: hard` trains through hard spikes; `weight_bits` rounds the weights in the forward pass
    and lets their gradient through (a straight-through estimator), `weight_noise` adds Gaussian
    noise of so many times each layer's root mean square weight.
    """

    epochs: Positive = 10
    forward: Forward = "hard"
    learning_rate: Rate | None = None
    rho: Annotated[float, Field(ge=0)] = 0.0
    weight_bits: Annotated[int, Field(ge=2, le=8)] | None = None
    weight_noise: Annotated[float, Field(ge=0, le=1)] = 0.0


class SlopeSchedule(Model):
    """β: constant at `start`, or geometric from `start` to `end`, an epoch at a time."""

    start: Rate = 2.0
    end: Rate | None = None


class ReadoutRefit(Model):
    """The last layer fitted anew by ridge regression on the hard network's features.

    `ridge` is in units of their mean square. It needs a `membrane` readout.
    """

    ridge: Rate = 0.1


class SAST(Model):
    """Sharpness-aware surrogate training (arXiv 2603.18039).

    `rho` = 0 is the plain surrogate-forward network; `forward: hard` with it is the conventional
    hard-forward network. `select_by` names the validation accuracy that picks the checkpoint.
    `second_batch: independent` takes the second gradient on the next minibatch of another shuffle,
    as the convergence theorem asks. `rho_decay` lets ρ fall to 0 by the last epoch after its
    warm-up. `shift_pixels` moves every training recording at random by up to so many pixels.
    `prune` is the share of every layer's weights, the smallest, that is at zero in the end; it is
    reached between a quarter and three quarters of the epochs (Zhu and Gupta 2017). `warm_start`
    trains by ADMM first and goes on from its best weights; `readout_refit` is ADMM's readout after
    the last epoch. `tensorboard` writes the history as an event file too.
    """

    method: Literal["sast"]
    epochs: Positive = 20
    batch_size: Positive = 50
    rho: Annotated[float, Field(ge=0)] = 0.1
    rho_warmup: RhoWarmup = RhoWarmup()
    rho_decay: Literal["none", "linear", "cosine"] = "none"
    perturbation: Perturbation = Perturbation()
    second_batch: Literal["same", "independent"] = "same"
    slope: SlopeSchedule = SlopeSchedule()
    forward: Forward = "smooth"
    optimizer: Annotated[Adam | SGD, Field(discriminator="kind")] = Adam(kind="adam")
    schedule: Literal["constant", "cosine"] = "constant"
    clip_norm: Rate | None = None
    shift_pixels: Annotated[int, Field(ge=0, le=16)] = 0
    select_by: Literal["smooth", "hard"] = "hard"
    prune: Annotated[float, Field(ge=0, lt=1)] = 0.0
    finetune: Finetune | None = None
    warm_start: ADMM | None = None
    readout_refit: ReadoutRefit | None = None
    tensorboard: bool = False
    device: Literal["auto", "cpu", "cuda"] = "auto"

    @model_validator(mode="after")
    def _forward_and_selection(self) -> "SAST":
        if self.forward == "hard" and self.select_by == "smooth":
            raise ValueError("select_by: smooth needs forward: smooth; a hard forward has none")
        if self.rho > 0 and self.rho_warmup.zero_epochs >= self.epochs:
            raise ValueError(
                f"rho_warmup.zero_epochs is {self.rho_warmup.zero_epochs} of {self.epochs} epochs, "
                "so rho would never act; allowed are fewer, or rho 0"
            )
        if self.second_batch == "independent" and self.perturbation.direction == "random":
            raise ValueError(
                "second_batch: independent needs two gradients, and perturbation.direction: random "
                "takes one; allowed with it is second_batch: same"
            )
        warm = self.rho_warmup.zero_epochs + self.rho_warmup.ramp_epochs
        if self.rho > 0 and self.rho_decay != "none" and warm >= self.epochs:
            raise ValueError(
                f"rho_decay follows the warm-up, which takes {warm} of {self.epochs} epochs; "
                "allowed are fewer, or rho_decay: none"
            )
        if self.readout_refit is not None and self.prune > 0:
            raise ValueError(
                f"readout_refit fills the readout's pruned weights, and prune is {self.prune:g}; "
                "allowed with it is prune: 0"
            )
        if self.readout_refit is not None and self.finetune is not None:
            raise ValueError(
                "readout_refit undoes what finetune did to the last layer; allowed is one of them"
            )
        if self.warm_start is not None:
            _check_warm_start(self.warm_start)
        return self


def _check_warm_start(settings: ADMM) -> None:
    """Refuse what means nothing before SAST: it trains in one process, for a hard reset."""
    allowed: dict[str, Any] = {
        "variant": "resync",
        "reset": "hard",
        "exchange": "recordings",
        "tensorboard": False,
        "device": "auto",
    }
    for key, value in allowed.items():
        if (found := getattr(settings, key)) != value:
            raise ValueError(f"warm_start.{key}: found {found}, allowed {value}")


class Imported(Model):
    """No training: the network of a file from elsewhere (`hardspike import`).

    `sha256` is the file's. `dt` is a step in the file's own unit of time, `input_shape` (C, H, W),
    `refractory` steps of rest behind a spike; what is None the file says itself. `toolkit` is who
    wrote it, `settings` are NAME=VALUE of its neurons that it does not hold. These and `refractory`
    are not recorded where they are not given, as in the configs of before them.
    """

    method: Literal["imported"]
    file: Annotated[str, Field(min_length=1)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    dt: Rate | None = None
    reset: Reset | None = None
    readout: Readout | None = None
    input_shape: tuple[Positive, Positive, Positive] | None = None
    refractory: Annotated[
        int | None, Field(ge=1, le=LONGEST_REFRACTORY, exclude_if=lambda steps: steps is None)
    ] = None
    toolkit: Annotated[ToolkitName | None, Field(exclude_if=lambda name: name is None)] = None
    settings: Annotated[tuple[str, ...], Field(exclude_if=lambda said: not said)] = ()


class ConvertSettings(Model):
    """Fixed point: weights of `weight_bits` bits, sign included.

    `scale_by` chooses each layer's scale by its largest weight or by the least error of its
    membrane on calibration recordings; `rounding` takes every weight to the nearest level, or to
    those that together keep the membrane. `calibration: thresholds` tunes the threshold of every
    layer on the validation recordings first.

    `approximate: [reset]` makes for `loihi`, whose neuron resets to zero alone, the network that
    comes nearest to one with subtractive reset. All other targets run the network itself. Left out
    of what is recorded where nothing is asked for, so that what was converted before stays valid.
    """

    weight_bits: Annotated[int, Field(ge=2, le=8)] = 8
    scale_by: ScaleBy = "membrane"
    rounding: Rounding = "membrane"
    calibration: Literal["none", "thresholds"] = "none"
    approximate: Annotated[
        tuple[Approximation, ...], Field(max_length=1, exclude_if=lambda wanted: not wanted)
    ] = ()


class LoihiSettings(Model):
    """Lava's simulator: how many test recordings it gets, and its time limit in seconds."""

    recordings: Positive | None = 100
    timeout_seconds: Rate = 900.0


class EvaluateSettings(Model):
    """Targets to run. `threads` is for ONNX Runtime; none means all cores.

    Each of `corruptions` is a run of its own over the corrupted test recordings. They are drawn
    from `corruption_seed`, not from the experiment's: networks of other seeds get the same ones.
    """

    targets: tuple[TargetName, ...] = ("reference", "onnxruntime", "onnxruntime-step", "loihi")
    threads: Positive | None = None
    loihi: LoihiSettings = LoihiSettings()
    corruptions: tuple[Annotated[Corruption, Field(discriminator="kind")], ...] = ()
    corruption_seed: Annotated[int, Field(ge=0, lt=2**63)] = 0

    @field_validator("corruptions")
    @classmethod
    def _each_once(cls, corruptions: tuple[Corruption, ...]) -> tuple[Corruption, ...]:
        names = [label(corruption) for corruption in corruptions]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"found {', '.join(twice)} more than once; each is allowed once")
        return corruptions


class Config(Model):
    """One experiment, from recordings to report. An imported network is described by its file."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    data: DataSettings
    network: NetworkSettings | None = None
    train: Annotated[SAST | ADMM | Imported, Field(discriminator="method")]
    convert: ConvertSettings = ConvertSettings()
    evaluate: EvaluateSettings = EvaluateSettings()

    @model_validator(mode="after")
    def _source_can_have_the_corruptions(self) -> "Config":
        for corruption in self.evaluate.corruptions:
            refused = refusal(corruption, self.data.source)
            if refused is not None:
                raise ValueError(f"evaluate.corruptions: {refused}")
        return self

    @model_validator(mode="after")
    def _network_is_described_once(self) -> "Config":
        imported = isinstance(self.train, Imported)
        if imported and self.network is not None:
            raise ValueError(
                "network: found layers beside train.method: imported; the file has them"
            )
        if not imported and self.network is None:
            raise ValueError("network: is missing; it is needed to train")
        if not imported and isinstance(self.data.source, NoRecordings):
            raise ValueError(
                "data.source: kind none is allowed with train.method: imported alone; "
                "training needs recordings"
            )
        return self

    @model_validator(mode="after")
    def _approximation_has_an_effect(self) -> "Config":
        if not self.convert.approximate:
            return self
        if not isinstance(self.train, Imported):
            raise ValueError(
                "convert.approximate: found reset, and what is trained here resets to zero; "
                "allowed with it is train.method: imported"
            )
        if "loihi" not in self.evaluate.targets:
            raise ValueError(
                "convert.approximate: found reset, which is for loihi, and evaluate.targets is "
                f"{', '.join(self.evaluate.targets)}; allowed with it are targets with loihi"
            )
        return self

    @model_validator(mode="after")
    def _refit_has_a_readout(self) -> "Config":
        refit = self.train.readout_refit if isinstance(self.train, SAST) else None
        if refit is not None and self.network is not None and self.network.readout != "membrane":
            raise ValueError(
                "train.readout_refit fits the weights of a membrane readout; "
                f"found network.readout: {self.network.readout}"
            )
        return self

    @property
    def layers(self) -> NetworkSettings:
        """The network that is trained here.

        Raises:
            HardspikeError: it is imported, and its layers are in its file.
        """
        if self.network is None:
            raise HardspikeError(
                "train.method: found imported, allowed is sast or admm: this needs a network that "
                "was trained here"
            )
        return self.network
