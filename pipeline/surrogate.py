"""Smooth spikes: σ_β(x) rising from 0 to 1 with slope β, and its derivative.

`x` is u − ϑ. Each surrogate is σ_β(0) = ½; the sigmoid and the arctangent are named after
themselves, the fast sigmoid is x/(1+|x|) moved to (0, 1) (Zenke and Ganguli 2018; the arctangent
after Fang et al. 2021). In-place arithmetic keeps the neuron's time loop free of allocations.
"""

import math
from typing import Literal

import torch
from torch import Tensor

SurrogateName = Literal["sigmoid", "arctangent", "fast_sigmoid"]


def smooth_spike(kind: SurrogateName, x: Tensor, slope: float, out: Tensor) -> Tensor:
    """Write σ_β(x) into `out` and return it.

    sigmoid: 1/(1+e^(−βx));  arctangent: ½ + atan(πβx/2)/π;  fast sigmoid: ½ + βx/(2(1+β|x|)).
    """
    match kind:
        case "sigmoid":
            return torch.mul(x, slope, out=out).sigmoid_()
        case "arctangent":
            torch.mul(x, math.pi * slope / 2, out=out).atan_()
            return out.mul_(1 / math.pi).add_(0.5)
        case "fast_sigmoid":
            scaled = x * slope
            torch.abs(scaled, out=out).add_(1)
            return torch.div(scaled, out, out=out).add_(1).mul_(0.5)
        case _:
            raise ValueError(f"unknown surrogate {kind!r}")


def smooth_slope(kind: SurrogateName, x: Tensor, spikes: Tensor, slope: float) -> Tensor:
    """Return σ_β′(x). For the sigmoid `spikes` must be σ_β(x): σ′ = βσ(1−σ).

    arctangent: (β/2)/(1+(πβx/2)²);  fast sigmoid: (β/2)/(1+β|x|)².
    """
    match kind:
        case "sigmoid":
            return torch.addcmul(spikes, spikes, spikes, value=-1).mul_(slope)
        case "arctangent":
            return (x * (math.pi * slope / 2)).square_().add_(1).reciprocal_().mul_(slope / 2)
        case "fast_sigmoid":
            return (x * slope).abs_().add_(1).square_().reciprocal_().mul_(slope / 2)
        case _:
            raise ValueError(f"unknown surrogate {kind!r}")
