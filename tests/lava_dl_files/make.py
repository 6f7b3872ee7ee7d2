# mypy: ignore-errors
"""Makes the files beside it with lava-dl 0.6.0's own exporter; needs lava-dl and torch.

    python make.py FOLDER

They were made with torch 2.13 and `lava.lib.dl.slayer` of lava-dl 0.6.0. An input block without a
neuron needs `delay_shift=False` there, and a convolution runs without gradients alone.
"""

import sys
from pathlib import Path

import h5py
import lava.lib.dl.slayer as slayer
import torch

BLOCK, NORM = slayer.block.cuba, slayer.neuron.norm
NEURON = {"threshold": 1.25, "current_decay": 0.25, "voltage_decay": 0.03}
BIASED = NEURON | {"norm": NORM.MeanOnlyBatchNorm}
SCALED = NEURON | {"current_decay": 1.0, "norm": NORM.WgtScaleBatchNorm}


def save(path: Path, blocks: list[torch.nn.Module], shape: tuple[int, ...]) -> None:
    """Let norms and delays take values, then export every block."""
    spikes = (torch.rand((4, *shape, 12)) < 0.3).float()
    with torch.no_grad():
        for _ in range(5):
            values = spikes
            for block in blocks:
                values = block.train()(values)
    with h5py.File(path, "w") as file:
        layer = file.create_group("layer")
        for index, block in enumerate(blocks):
            if getattr(block, "delay", None) is not None:
                block.delay.delay.data = torch.rand_like(block.delay.delay.data) * 5
            block.eval()
            block.export_hdf5(layer.create_group(f"{index}"))


def main() -> None:
    """Make all files."""
    folder = Path(sys.argv[1])
    torch.manual_seed(3)
    dense = [
        BLOCK.Input(delay_shift=False),
        BLOCK.Dense(BIASED, 9, 7, weight_scale=3, delay=True),
        BLOCK.Dense(NEURON | {"shared_param": False}, 7, 4, weight_scale=3),
        BLOCK.Affine(NEURON, 4, 3, weight_scale=3),
    ]
    save(folder / "dense.net", dense, (9,))
    recurrent = [
        BLOCK.Input(NEURON, weight=0.7, bias=0.1),
        BLOCK.Recurrent(NEURON, 9, 6, weight_scale=3),
        BLOCK.Recurrent(BIASED, 6, 6, weight_scale=4, delay=True),
    ]
    save(folder / "recurrent.net", recurrent, (9,))
    image = {"stride": (1, 2), "padding": (1, 0), "dilation": (2, 1), "groups": 2}
    conv = [
        BLOCK.Input(delay_shift=False),
        BLOCK.Conv(BIASED, 2, 4, (2, 3), weight_scale=4, **image),
        BLOCK.Conv(SCALED, 4, 3, 3, padding=1, weight_scale=4, delay=True),
        BLOCK.Flatten(),
        BLOCK.Dense(NEURON, 36, 5, weight_scale=4),
    ]
    save(folder / "conv.net", conv, (2, 6, 5))


if __name__ == "__main__":
    main()
