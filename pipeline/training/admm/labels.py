"""The output step of ADMM: what is asked of the evidence, and of the drive that makes it.

Axes: `T` time step, `B` recording, `K` class. The evidence is f = Σ_t δ^(T−t) W a[t], the membrane
of an output neuron that never fires after the last step T (δ its decay), or a count of spikes
(δ = 1 over the output layer's own spikes).
"""

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.training.admm.settings import CrossEntropy, Squared

_NEWTON_STEPS = 30
_CLOSE = 1e-6


def asked_evidence(
    evidence_BK: Tensor,
    labels_B: Tensor,
    settings: Squared | CrossEntropy,
    energy: float,
    high: float,
) -> Tensor:
    """Return the change of the evidence that the labels ask for, `(B, K)`.

    `squared`: argmin ‖f + Δf − y‖² + (ρ_L/2G)‖Δf‖², y = `high` for the right class and 0 for the
    others, G = `energy`. `cross-entropy`: argmin CE(softmax(s·(f + Δf)/`high`)) + (ρ_L/2)‖Δf‖².
    """
    wanted = high * functional.one_hot(labels_B, evidence_BK.shape[1]).to(evidence_BK.dtype)
    match settings:
        case Squared(penalty=penalty):
            return (wanted - evidence_BK) / (1 + penalty / (2 * energy))
        case CrossEntropy(penalty=penalty, scale=scale):
            return _proximal(evidence_BK, wanted / high, penalty, scale / high)


def _proximal(evidence_BK: Tensor, right_BK: Tensor, penalty: float, scale: float) -> Tensor:
    """Minimise CE(s·(f + Δf)) + (ρ/2)‖Δf‖² by Newton's method, every recording on its own.

    The Hessian is s²(diag p − ppᵀ) + ρ: a diagonal less a product, so that its inverse needs no
    factor (Sherman and Morrison). A step is halved where it does not lower the objective. What is
    done stays, so that no recording depends on the others of its batch.
    """
    change = torch.zeros_like(evidence_BK)
    for _ in range(_NEWTON_STEPS):
        share = torch.softmax(scale * (evidence_BK + change), 1)
        slope = scale * (share - right_BK) + penalty * change
        open_B1 = slope.abs().amax(1, keepdim=True) >= _CLOSE * scale
        if not bool(open_B1.any()):
            break
        diagonal = scale**2 * share + penalty
        inverse = slope / diagonal
        along = share / diagonal
        mixed = (share * inverse).sum(1, keepdim=True)
        bend = 1 - scale**2 * (share * along).sum(1, keepdim=True)
        step = open_B1 * (inverse + scale**2 * along * mixed / bend)
        change = _descended(change, step, evidence_BK, right_BK, penalty, scale)
    return change


def _descended(
    change: Tensor, step: Tensor, evidence: Tensor, right: Tensor, penalty: float, scale: float
) -> Tensor:
    def objective(at: Tensor) -> Tensor:
        loss = -(right * torch.log_softmax(scale * (evidence + at), 1)).sum(1, keepdim=True)
        return loss + penalty / 2 * at.square().sum(1, keepdim=True)

    now, size = objective(change), torch.ones_like(change[:, :1])
    for _ in range(_NEWTON_STEPS):
        worse = objective(change - size * step) > now + _CLOSE * now.abs()
        if not bool(worse.any()):
            break
        size = torch.where(worse, size / 2, size)
    return change - size * step


def readout_weights(steps: int, decay: float, like: Tensor) -> Tensor:
    """Return δ^(T−t) of every step, `(T,)`."""
    powers = torch.arange(steps - 1, -1, -1, device=like.device, dtype=torch.float64)
    return (decay**powers).to(like.dtype)


def mismatch(
    evidence_BK: Tensor, labels_B: Tensor, settings: Squared | CrossEntropy, high: float
) -> float:
    """Return the label term of the objective, summed over the recordings."""
    wanted = functional.one_hot(labels_B, evidence_BK.shape[1]).to(evidence_BK.dtype)
    match settings:
        case Squared():
            return float((evidence_BK - high * wanted).double().square().sum())
        case CrossEntropy(scale=scale):
            logits = scale / high * evidence_BK.double()
            return float(functional.cross_entropy(logits, labels_B, reduction="sum"))
