"""Collecting the nodes of an ONNX graph."""

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from export.network import Shape


class Graph:
    """Collects nodes and initialisers; every method returns the name of what it made."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    def constant(self, name: str, value: Any, dtype: Any) -> str:
        """Add an initialiser."""
        array = np.ascontiguousarray(value, dtype)
        if all(known.name != name for known in self.initializers):
            self.initializers.append(numpy_helper.from_array(array.reshape(np.shape(value)), name))
        return name

    def add(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Add a node with one output, named like it."""
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def reshape(self, value: str, sizes: Shape, output: str) -> str:
        """Add a reshape to fixed sizes; −1 stands for what is left."""
        return self.add(
            "Reshape", [value, self.constant(f"{output}.sizes", sizes, np.int64)], output
        )

    def cast(self, value: str, kind: int, output: str) -> str:
        """Add a conversion; from float to integer it truncates towards zero."""
        return self.add("Cast", [value], output, to=kind)
