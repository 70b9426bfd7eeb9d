"""ONNX files that are meant to hurt, by name: each a function that gives the bytes of a file."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.models.test_onnx import BAD_FILES, FLOAT, endless, linear_model

HONEST = linear_model


def _identities(count: int) -> bytes:
    """A chain of nodes that do nothing."""
    names = ["y", *(f"n{i}" for i in range(count - 1)), "z"]
    return linear_model(*[helper.make_node("Identity", [a], [b]) for a, b in itertools.pairwise(names)])


def _loop(steps: int, *, inner: int = 0) -> bytes:
    """So many steps that each add one, with as many inside where inner is given."""
    nodes = [helper.make_node("Identity", ["going"], ["on"]), helper.make_node("Add", ["value", "one"], ["next"])]
    if inner:
        nodes[1] = helper.make_node("Loop", ["inner", "going", "value"], ["next"], body=_body("in", "Add"))
    body = helper.make_graph(nodes, "body", _body_inputs(""), _body_outputs("on", "next"))
    constants = {"steps": np.array(steps), "inner": np.array(inner), "true": np.array(True)}
    constants["one"] = np.float32(1)
    return linear_model(helper.make_node("Loop", ["steps", "true", "y"], ["z"], body=body), constants=constants)


def _body(prefix: str, operation: str) -> Any:  # noqa: ANN401
    nodes = [
        helper.make_node("Identity", [f"{prefix}going"], [f"{prefix}on"]),
        helper.make_node(operation, [f"{prefix}value", "one"], [f"{prefix}next"]),
    ]
    return helper.make_graph(nodes, "inner", _body_inputs(prefix), _body_outputs(f"{prefix}on", f"{prefix}next"))


def _body_inputs(prefix: str) -> list[Any]:
    return [
        helper.make_tensor_value_info(f"{prefix}step", TensorProto.INT64, []),
        helper.make_tensor_value_info(f"{prefix}going", TensorProto.BOOL, []),
        helper.make_tensor_value_info(f"{prefix}value", FLOAT, None),
    ]


def _body_outputs(going: str, value: str) -> list[Any]:
    return [
        helper.make_tensor_value_info(going, TensorProto.BOOL, []),
        helper.make_tensor_value_info(value, FLOAT, None),
    ]


def _folded(side: int, count: int) -> bytes:
    """Products of large constant matrices, worked out when the file is opened."""
    nodes = [helper.make_node("MatMul", ["m" if i == 0 else f"m{i}", "m"], [f"m{i + 1}"]) for i in range(count)]
    return linear_model(
        helper.make_node("ConstantOfShape", ["shape"], ["m"]),
        *nodes,
        helper.make_node("ReduceSum", [f"m{count}"], ["sum"], keepdims=0),
        helper.make_node("Add", ["y", "sum"], ["z"]),
        constants={"shape": np.array([side, side])},
    )


def _expanded(factor: int) -> bytes:
    """Each digit repeated so many times."""
    return linear_model(
        helper.make_node("Tile", ["y", "repeats"], ["large"]),
        helper.make_node("Slice", ["large", "from", "to", "axis"], ["z"]),
        constants={
            "repeats": np.array([1, factor]), "from": np.array([0]), "to": np.array([10]), "axis": np.array([1]),
        },
    )  # fmt: skip


def _conditions(depth: int) -> bytes:
    """Conditions in the branches of conditions."""
    leaf = helper.make_graph(
        [helper.make_node("Identity", ["y"], ["b"])], "leaf", [], [helper.make_tensor_value_info("b", FLOAT, None)]
    )
    graph = leaf
    for i in range(depth):
        out = f"b{i}"
        node = helper.make_node("If", ["true"], [out], then_branch=graph, else_branch=leaf)
        graph = helper.make_graph([node], out, [], [helper.make_tensor_value_info(out, FLOAT, None)])
    return linear_model(
        helper.make_node("If", ["true"], ["z"], then_branch=graph, else_branch=leaf), constants={"true": np.array(True)}
    )


def _changed(change: Callable[[Any], object]) -> bytes:
    parsed = onnx.load_model_from_string(linear_model())
    change(parsed)
    data: bytes = parsed.SerializeToString()
    return data


def _recursive_function() -> bytes:
    """A function of the file that calls itself."""

    def change(parsed: Any) -> None:  # noqa: ANN401
        call = helper.make_node("again", ["a"], ["b"], domain="own")
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
        parsed.functions.append(helper.make_function("own", "again", ["a"], ["b"], [call], opsets))
        parsed.opset_import.append(helper.make_opsetid("own", 1))
        parsed.graph.node.append(helper.make_node("again", ["y"], ["z"], domain="own"))
        parsed.graph.output[0].name = "z"

    return _changed(change)


def _doubling_functions(count: int) -> bytes:
    """Functions that each call the one before twice."""

    def change(parsed: Any) -> None:  # noqa: ANN401
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
        for i in range(count):
            kind = {"domain": "own"} if i else {}
            names = (f"f{i - 1}", f"f{i - 1}") if i else ("Identity", "Identity")
            calls = [helper.make_node(names[0], ["a"], ["m"], **kind), helper.make_node(names[1], ["m"], ["b"], **kind)]
            parsed.functions.append(helper.make_function("own", f"f{i}", ["a"], ["b"], calls, opsets))
        parsed.opset_import.append(helper.make_opsetid("own", 1))
        parsed.graph.node.append(helper.make_node(f"f{count - 1}", ["y"], ["z"], domain="own"))
        parsed.graph.output[0].name = "z"

    return _changed(change)


def _initializer(dims: list[int], raw: bytes) -> bytes:
    """A model with one more constant, of this shape and these bytes."""
    tensor = TensorProto(name="other", data_type=FLOAT, dims=dims, raw_data=raw)
    return _changed(lambda parsed: parsed.graph.initializer.append(tensor))


def _without_text(name: str) -> bytes:
    """A model whose input has this name, but for its first letter, which is not UTF-8."""

    def change(parsed: Any) -> None:  # noqa: ANN401
        parsed.graph.node[0].input[0] = parsed.graph.input[0].name = name

    return _changed(change).replace(name.encode(), b"\xff" + name.encode()[1:])


FILES: dict[str, Callable[[], bytes]] = {
    **{name: make for name, (make, _) in BAD_FILES.items()},
    "endless": endless,
    "100,000 nodes": lambda: _identities(100_000),
    "3,000 nodes": lambda: _identities(3_000),
    "a loop of 10 million steps": lambda: _loop(10_000_000),
    "a loop of 1,000 steps": lambda: _loop(1_000),
    "a loop of 3,000 times 3,000 steps": lambda: _loop(3_000, inner=3_000),
    "constants that take long": lambda: _folded(1_500, 40),
    "constants of 400 MB": lambda: _folded(10_000, 0),
    "digits that take a gigabyte": lambda: _expanded(3_000_000),
    "digits that take 40 MB": lambda: _expanded(2_000),
    "conditions 10 deep": lambda: _conditions(10),
    "conditions 20 deep": lambda: _conditions(20),
    "a function that calls itself": _recursive_function,
    "functions that double": lambda: _doubling_functions(30),
    "a constant larger than it is": lambda: _initializer([1 << 40], bytes(4)),
    "a constant of a negative size": lambda: _initializer([-4], bytes(16)),
    "a constant of 100,000 dimensions": lambda: _initializer([1] * 100_000, bytes(4)),
    "50,000 constants": lambda: _changed(
        lambda parsed: parsed.graph.initializer.extend(
            numpy_helper.from_array(np.float32(0), f"c{i}") for i in range(50_000)
        )
    ),
    "90 MB of nothing": lambda: _initializer([22_500_000], bytes(90_000_000)),
    "100,000 opsets": lambda: _changed(
        lambda parsed: parsed.opset_import.extend(helper.make_opsetid(f"o{i}", 1) for i in range(100_000))
    ),
    "opset 4 billion": lambda: _changed(lambda parsed: setattr(parsed.opset_import[0], "version", 1 << 40)),
    "version 4 billion": lambda: _changed(lambda parsed: setattr(parsed, "ir_version", 1 << 40)),
    "a description of 50 MB": lambda: _changed(lambda parsed: setattr(parsed, "doc_string", "x" * 50_000_000)),
    "a name of a megabyte": lambda: _changed(lambda parsed: setattr(parsed.graph, "name", "x" * 1_000_000)),
    "an input whose name is not text": lambda: _without_text("input-name"),
    "no nodes": lambda: _changed(lambda parsed: parsed.graph.ClearField("node")),
    "no graph": lambda: _changed(lambda parsed: parsed.ClearField("graph")),
    "10,000 inputs": lambda: _changed(
        lambda parsed: parsed.graph.input.extend(
            helper.make_tensor_value_info(f"i{i}", FLOAT, [1]) for i in range(10_000)
        )
    ),
    "an output of 10,000 dimensions": lambda: _changed(
        lambda parsed: parsed.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", FLOAT, [1] * 10_000))
    ),
    "fields nested 5,000 deep": lambda: _fields(5_000),
    "a field of 2 GB": lambda: b"\x3a\xff\xff\xff\xff\x07",
    "varints without end": lambda: b"\x08" + b"\xff" * 1_000_000,
    "another format": lambda: b"\x20\0\0\0ORTM" + bytes(10_000),
}
"""All hostile ONNX files."""


def _fields(depth: int) -> bytes:
    """Messages inside messages: attributes that hold graphs that hold nodes."""
    data = b""
    for number in (1, 6, 5) * (depth // 3):  # node of a graph, graph of an attribute, attribute of a node
        size, rest = b"", len(data)
        while rest > 127:
            size, rest = size + bytes([rest & 127 | 128]), rest >> 7
        data = bytes([number << 3 | 2]) + size + bytes([rest]) + data
    return data


def smallest() -> bytes:
    """A model that can be used and has hardly any weights, so that a mutation meets its structure."""
    graph = helper.make_graph(
        [helper.make_node("ReduceMean", ["x"], ["mean"], axes=[1, 2, 3], keepdims=0),
         helper.make_node("Reshape", ["mean", "shape"], ["row"]),
         helper.make_node("MatMul", ["row", "w"], ["y"])],
        "digits",
        [helper.make_tensor_value_info("x", FLOAT, ["N", 1, 28, 28])],
        [helper.make_tensor_value_info("y", FLOAT, ["N", 10])],
        [numpy_helper.from_array(np.ones((1, 10), np.float32), "w"),
         numpy_helper.from_array(np.array([-1, 1]), "shape")],
    )  # fmt: skip
    data: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9
    ).SerializeToString()
    return data
