"""Small weights: a graph's large tensors kept in eight or sixteen bits, and restored by the runtime that loads them."""

import numpy as np

WEIGHTS = ("int8", "float16", "float32")
HALVED_FROM = 1024  # numbers: a tensor of fewer stays in single precision
# A tensor of fewer is not rounded to eight bits but kept as float16. Among them are the U-Net's first layer, its last
# and its shortcuts, which have few numbers and would make most of the error.
ROUNDED_FROM = 2**15


def shrunk(graph, weights):
    """A copy of a graph with its weights kept in one of the forms of WEIGHTS.

    Nodes are added that turn each back into single precision. What they get is constant, so a runtime computes them
    when it loads the graph, and never again: it runs as fast as before.
    """
    import onnx
    from onnx import helper, numpy_helper

    channels = output_axes(graph)
    kept, nodes = [], []

    def keep(values, name):
        kept.append(numpy_helper.from_array(values, name))
        return name

    for tensor in graph.graph.initializer:
        name, values = tensor.name, numpy_helper.to_array(tensor)
        if weights == "float32" or values.dtype != np.float32 or values.size < HALVED_FROM:
            kept.append(tensor)
        elif weights == "int8" and name in channels and values.size >= ROUNDED_FROM:
            whole, scale = to_int8(values, channels[name])
            inputs = [f"{name}.unscaled", keep(scale, f"{name}.scale")]
            nodes.append(helper.make_node("Cast", [keep(whole, f"{name}.int8")], inputs[:1], to=onnx.TensorProto.FLOAT))
            nodes.append(helper.make_node("Mul", inputs, [name]))
        else:
            half = keep(values.astype(np.float16), f"{name}.float16")
            nodes.append(helper.make_node("Cast", [half], [name], to=onnx.TensorProto.FLOAT))
    small = onnx.ModelProto()
    small.CopyFrom(graph)
    for part, contents in ((small.graph.initializer, kept), (small.graph.node, [*nodes, *graph.graph.node])):
        del part[:]
        part.extend(contents)
    return small


def output_axes(graph):
    """Which axis of a weight counts output channels: {name: axis}, for the weights of convolutions and matrices."""
    axes = {}
    for node in graph.graph.node:
        if node.op_type in ("Conv", "MatMul", "Gemm"):
            transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
            axes[node.input[1]] = 0 if node.op_type == "Conv" or transposed else -1
    return axes


def to_int8(values, axis):
    """values = whole * scale, nearly: whole numbers from -127 to 127, and a scale for each entry along the axis."""
    others = tuple(i for i in range(values.ndim) if i != axis % values.ndim)
    scale = np.maximum(np.abs(values).max(others, keepdims=True), np.float32(1e-12)) / 127
    return np.round(values / scale).astype(np.int8), scale
