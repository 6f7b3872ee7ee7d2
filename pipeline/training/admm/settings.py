"""The `train` section of an experiment trained by ADMM."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline.schema import Model

Positive = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Above = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=1e-9, le=1e9)]
"""Of a term in a matrix that is solved: a factor in double precision needs no less."""
NotBelow = Annotated[float, Field(ge=0)]
Memory = Annotated[float, Field(ge=0, lt=1)]
Reset = Literal["hard", "soft"]
"""Of the membrane at a spike: to zero, as it is deployed, or by subtracting the threshold."""


class Full(Model):
    """Every pass is one step over all recordings, of the best size of {½, 1, 2} × the last.

    `alpha` is the first step size α.
    """

    kind: Literal["full"]
    alpha: Weight = 1.0


class Stream(Model):
    """A step a minibatch. Each moves the weights of a layer by `trust` of their own norm.

    `trust` = 0 leaves the hidden weights as they were drawn: random features under a ridge readout.
    Sums of residuals live on for 1/(1 − `momentum`) minibatches. Gram matrices and their factors
    are renewed every `renew_every` minibatches, more often at the start, and keep `memory` of what
    they were.
    """

    kind: Literal["stream"]
    batch_size: Positive = 50
    trust: Annotated[float, Field(ge=0, le=1)] = 0.02
    schedule: Literal["constant", "cosine"] = "cosine"
    momentum: Memory = 0.9
    memory: Memory = 0.9
    renew_every: Positive = 20


class Ramp(Model):
    """The membrane step through a ramp of `window` (units of the membrane) around the threshold.

    `slack` is β/ρ, the price of a spike that is not the one asked for. `reset_term` is what follows
    from a changed spike at the next step: the reset of what the ramp grants, of all that was asked,
    or none.
    """

    kind: Literal["ramp"]
    window: Above = 2.0
    slack: Above = 0.1
    reset_term: Literal["granted", "asked", "none"] = "granted"


class Exact(Model):
    """The membrane step through the step function itself: the spikes cheapest to flip are flipped.

    At most one a neuron and recording, and `flips` of the (neuron, step) of each recording.
    """

    kind: Literal["exact"]
    flips: Annotated[float, Field(gt=0, le=1)] = 0.02
    margin: Above = 0.1


class Squared(Model):
    """Labels by squared error; `penalty` is ρ_L, 0 asks for the label itself."""

    kind: Literal["squared"]
    penalty: NotBelow = 0.0


class CrossEntropy(Model):
    """Labels by a proximal step of the cross-entropy of `scale` times the evidence."""

    kind: Literal["cross-entropy"]
    penalty: Above = 1.0
    scale: Above = 8.0


class Published(Model):
    """What the published iteration needs beside `passes` and `reset` (arXiv 2505.05527).

    `rho` and `beta` weigh the constraints of membranes and of spikes; the multiplier stays at zero
    for the first `warming` passes. `order` is that of layers and of steps within a pass: drawn anew
    every pass, or as they come.
    """

    rho: Weight = 1.0
    beta: Weight = 0.1
    warming: Count = 10
    order: Literal["random", "forward"] = "random"


class ADMM(Model):
    """Training by the alternating direction method of multipliers, without a gradient.

    `variant: published` is the iteration of arXiv 2505.05527; `resync` (ours) starts every step
    from the hard forward pass. `damping` (γ) regularises what is asked of a layer's spikes, `ridge`
    (μ) the weight step, both in units of the mean diagonal of the matrix that is solved; `output_`
    those of the readout. No more than `chunk` recordings are worked on at once. `target` is the
    share of steps at which the right class is asked to fire, for a `count` readout. `exchange`
    says what ranks share under torchrun: a shuffle of all recordings, or sums alone, each with
    recordings of its own.
    """

    method: Literal["admm"]
    variant: Literal["resync", "published"] = "resync"
    passes: Positive = 20
    batch: Annotated[Full | Stream, Field(discriminator="kind")] = Stream(kind="stream")
    reset: Reset = "hard"
    membrane: Annotated[Ramp | Exact, Field(discriminator="kind")] = Ramp(kind="ramp")
    labels: Annotated[Squared | CrossEntropy, Field(discriminator="kind")] = Squared(kind="squared")
    damping: Weight = 1.0
    output_damping: Weight = 1.0
    ridge: Weight = 10.0
    output_ridge: Weight = 0.1
    target: Annotated[float, Field(gt=0, le=1)] = 0.5
    chunk: Positive = 200
    shift_pixels: Annotated[int, Field(ge=0, le=16)] = 0
    published: Published = Published()
    exchange: Literal["recordings", "sums"] = "recordings"
    tensorboard: bool = False
    device: Literal["auto", "cpu", "cuda"] = "auto"

    @model_validator(mode="after")
    def _of_one_variant(self) -> "ADMM":
        own = {
            "published": ("published",),
            "resync": (
                *("batch", "membrane", "labels", "damping", "output_damping"),
                *("ridge", "output_ridge", "target", "shift_pixels"),
            ),
        }
        other = "resync" if self.variant == "published" else "published"
        found = [name for name in own[other] if name in self.model_fields_set]
        untouched = ADMM.model_fields
        found = [name for name in found if getattr(self, name) != untouched[name].default]
        if found:
            raise ValueError(
                f"{found[0]}: is a key of variant: {other}; found variant: {self.variant}"
            )
        if self.variant == "published" and self.published.warming >= self.passes:
            raise ValueError(
                f"published.warming: found {self.published.warming} of {self.passes} passes, so "
                "that the multiplier would never act; allowed are fewer"
            )
        if self.variant == "published" and self.reset != "soft":
            raise ValueError(
                f"reset: found {self.reset}, and variant: published resets by subtraction alone; "
                "write reset: soft"
            )
        return self
