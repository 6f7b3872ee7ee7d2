"""A report tree, small and whole, and measurements beside it, as their commands write them."""

from typing import Any

import numpy as np

from pipeline.accuracy_gain import accuracy_gain
from pipeline.metrics import wilson_interval
from pipeline.report_page.sections import Sources
from pipeline.verdict import judge

N = 1000
LAYERS = ("conv1", "dense2")


def accuracy(correct: int, n: int = N) -> dict[str, Any]:
    """An accuracy with its interval."""
    return {"accuracy": correct / n, "ci95": list(wilson_interval(correct, n)), "n": n}


def target(correct: int = 960, n: int = N, **changes: Any) -> dict[str, Any]:
    """A target's entry."""
    return {
        "status": "ok",
        "version": "numpy 2",
        **accuracy(correct, n),
        "spike_agreement": 1.0,
        "prediction_agreement": 1.0,
        "samples_per_second": 1234.5,
        "seconds": 1.0,
        "startup_seconds": 0.1,
        "details": {},
    } | changes


def report(**changes: Any) -> dict[str, Any]:
    """A report with its verdict; `changes` are made before it is judged."""
    tree: dict[str, Any] = {
        "schema": "hardspike.report/1",
        "name": "sample",
        "config": {"convert": {"weight_bits": 8}, "train": {"method": "sast"}},
        "versions": {"hardspike": "0.1.0", "numpy": "2.4"},
        "git_commit": "abc",
        "training": {
            "method": "sast",
            "device": "cpu",
            "threads": 2,
            "seconds": 12.5,
            "samples_per_second": 700.25,
            "gradient_evaluations": 3520,
            "peak_memory_bytes": 769671168,
            "epochs": 3,
            "best_epoch": 2,
        },
        "gain": accuracy_gain(0.96, 10, {"seconds": 12.5, "joules": 250.0}),
        "ladder": [
            {"step": "smooth", **accuracy(965)},
            {"step": "hard_float", **accuracy(963)},
            {"step": "fixed_point", **accuracy(960)},
            {"step": "reference", **accuracy(960)},
            {"step": "onnxruntime", **accuracy(960)},
        ],
        "changed": {"smooth": {"lost": 9, "gained": 4}, "hard_float": {"lost": 5, "gained": 2}},
        "parting": {
            "between": ["hard_float", "fixed_point"],
            "n": 100,
            "first": {"layer": "conv1", "step": 3, "recordings": 0.25},
        },
        "scales": [
            {
                "layer": layer,
                "scale": 450.3,
                "clipped": 0.00015,
                "membrane_error": None if layer == "dense2" else 0.0027,
            }
            for layer in LAYERS
        ],
        "calibration": None,
        "targets": {"reference": target(), "onnxruntime": target()},
        "corruptions": [{"name": "drop 50%", "target": "onnxruntime", **accuracy(700)}],
        "synops_per_sample": 237946.08,
        "readout": "count",
        "wrapped_currents": 0,
        "readout_resets": 0,
        "raster": {
            "recording": "mnist/0",
            "targets": ["reference", "loihi"],
            "layers": list(LAYERS),
            "first_parting": None,
        },
        "classes": ["0", "1"],
        "confusion": [[480, 20], [20, 480]],
        "layers": [
            {
                "layer": layer,
                "type": "conv" if conv else "dense",
                "input_shape": [2, 34, 34],
                "output_shape": [8, 15, 15] if conv else [2],
                "kernel": [5, 5] if conv else None,
                "stride": [2, 2] if conv else None,
                "neurons": 1800 if conv else 2,
                "weights": 400,
                "zero_weights": 12,
                "biases": 0,
                "decay": 0.9,
                "threshold": 450,
            }
            for layer, conv in zip(LAYERS, (True, False), strict=True)
        ],
        "artifacts": [{"path": "deploy/model.net", "sha256": "ab" * 32, "bytes": 81512}],
        "robustness": None,
        "latency": None,
        "energy": None,
        "outdated": [],
    } | changes
    return tree | {"verdict": judge(tree).as_json()}


def sources(tree: dict[str, Any] | None = None) -> Sources:
    """What a page is made from."""
    generator = np.random.default_rng(0)
    widths = {"input": 200, "conv1": 150, "dense2": 2}
    grid = {
        name: (generator.random((10, width)) < 0.2).astype(np.uint8)
        for name, width in widths.items()
    }
    other = {name: cells.copy() for name, cells in grid.items()}
    other["conv1"][3, 7] ^= 1
    history = [
        {"epoch": at, "loss": 2.0 / (at + 1), "rho": 0.1, "validation_hard": 0.5 + 0.1 * at}
        for at in range(3)
    ]
    return Sources(tree or report(), history, {"reference": grid, "loihi": other}, 31.5)


def robustness(network: str = "0" * 64) -> dict[str, Any]:
    """What `hardspike robustness` writes, two severities a row, one of them refused."""

    def row(title: str) -> dict[str, Any]:
        cells = [
            {"severity": "10%", **accuracy(900), "retained": 0.9375},
            {"severity": "50% at 0", "refused": "not for this source"},
        ]
        return {
            "kind": title,
            "title": title,
            "mean_accuracy": 0.9,
            "mean_retained": 0.9375,
            "cells": cells,
        }

    return {
        "schema": "hardspike.robustness/1",
        "network_sha256": network,
        "target": "onnxruntime",
        "version": "1",
        "seed": 0,
        "clean": accuracy(960),
        "events": [row("event drop"), row("noise")],
        "faults": [row("dead neurons")],
        "mean_retained": {"events": 0.9375, "faults": 0.9375},
    }


def latency(network: str = "0" * 64) -> dict[str, Any]:
    """What `hardspike latency` writes."""

    def times(middle: float) -> dict[str, Any]:
        return {
            "p50_ms": middle,
            "p95_ms": 1.5 * middle,
            "p99_ms": 2 * middle,
            "min_ms": middle / 2,
            "mean_ms": middle,
            "calls": 20,
            "histogram": {
                "edges_ms": [middle / 2, middle, 2 * middle],
                "counts": [10, 9],
                "above": 1,
            },
        }

    return {
        "schema": "hardspike.latency/1",
        "network_sha256": network,
        "machine": {"processor": "a processor", "onnxruntime": "1.31"},
        "repeats": 20,
        "warm_up": 5,
        "results": [
            {
                "threads": threads,
                "times": {"products": times(0.5), "network": times(0.75), "step": times(0.1)},
                "network_over_products": {"p50": 1.5, "min": 1.5, "paired": 1.5},
                "throughput": {
                    "batches": [{"batch": 8, "p50_ms": 2.0, "recordings_per_second": 4000.0}],
                    "best_batch": 8,
                },
            }
            for threads in (1, 2)
        ],
    }


def energy(network: str = "0" * 64) -> dict[str, Any]:
    """What `hardspike energy` writes."""

    def figures(**means: float) -> dict[str, Any]:
        return {name: {"mean": mean, "sd": 0.0} for name, mean in means.items()}

    def estimate(factor: float) -> dict[str, Any]:
        joules = figures(
            synapse=4e-6 * factor, soma=2e-6, network=1e-7, total=4e-6 * factor + 2.1e-6
        )
        seconds = figures(computing=1e-5 * factor, synchronisation=5e-6, total=1e-5 * factor + 5e-6)
        return {
            "label": f"modelled {factor}",
            "source": "a paper",
            "published_error": {"energy": 0.12, "latency": 0.25} if factor == 1 else None,
            "joules": joules,
            "seconds": seconds,
        }

    return {
        "schema": "hardspike.energy/1",
        "network": {"file": "deploy/model.net", "sha256": network},
        "mapping": {
            "cores": 3,
            "limits": {"cores": 128},
            "layers": [{"name": "conv1", "neurons": 1800, "cores": 2, "compartments": 900}],
        },
        "simulated": estimate(1.0),
        "published": estimate(2.0),
        "left_out": ["leakage"],
    }
