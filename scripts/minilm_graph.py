#!/usr/bin/env python3
"""Writes model.onnx for all-MiniLM-L6-v2 next to its model.safetensors.

    minilm_graph.py model.safetensors model.onnx

ONNX lets an initializer live in another file, given by offset and length. The weights in a safetensors file are plain
little-endian arrays whose offsets stand in its JSON header, so a graph of some 30 KB can point straight into that file
and nothing has to be converted. ONNX files are Protocol Buffers; the few message types needed are encoded by hand
below, so that the standard library is enough. Field numbers are those of onnx.proto3.
"""

import json
import struct
import sys

# The shape of the network: BERT with six layers. The weights' own shapes are checked against it.
LAYERS = 6
HIDDEN = 384
HEADS = 12
HEAD_SIZE = HIDDEN // HEADS
INTERMEDIATE = 1536
LAYER_NORM_EPSILON = 1e-12

IR_VERSION = 9
OPSET = 20  # the first with Gelu as an operator of its own
FLOAT, INT64 = 1, 7  # TensorProto.DataType
ATTRIBUTE_FLOAT, ATTRIBUTE_INT, ATTRIBUTE_INTS = 1, 2, 7  # AttributeProto.AttributeType
EXTERNAL = 1  # TensorProto.DataLocation


# Protocol Buffers: a field is a key (number and wire type) followed by its value.

def varint(value):
    value &= (1 << 64) - 1  # negative numbers are written as 64-bit two's complement
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def integer(number, value):
    return varint(number << 3 | 0) + varint(value)


def delimited(number, value):
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def float32(number, value):
    return varint(number << 3 | 5) + struct.pack("<f", value)


# ONNX messages.

def tensor(name, data_type, shape, payload):
    dims = b"".join(integer(1, dim) for dim in shape)
    return dims + integer(2, data_type) + delimited(8, name) + payload


def attribute(name, value):
    head = delimited(1, name)
    if isinstance(value, float):
        return head + float32(2, value) + integer(20, ATTRIBUTE_FLOAT)
    if isinstance(value, int):
        return head + integer(3, value) + integer(20, ATTRIBUTE_INT)
    return head + b"".join(integer(8, item) for item in value) + integer(20, ATTRIBUTE_INTS)


def value_info(name, data_type, shape):
    def dimension(size):
        return delimited(2, size) if isinstance(size, str) else integer(1, size)

    dims = b"".join(delimited(1, dimension(size)) for size in shape)
    tensor_type = integer(1, data_type) + delimited(2, dims)
    return delimited(1, name) + delimited(2, delimited(1, tensor_type))


class Graph:
    """Collects nodes and initializers; every method returns the name of the tensor it makes."""

    def __init__(self, weights, location):
        self.weights = weights
        self.location = location
        self.nodes = []
        self.initializers = {}

    def op(self, kind, *inputs, name=None, **attributes):
        output = name or f"{kind}_{len(self.nodes)}"
        node = b"".join(delimited(1, item) for item in inputs) + delimited(2, output)
        node += delimited(3, output) + delimited(4, kind)
        node += b"".join(delimited(5, attribute(key, value)) for key, value in attributes.items())
        self.nodes.append(node)
        return output

    def weight(self, name, shape):
        """An initializer whose bytes are a stretch of the safetensors file."""
        if name not in self.initializers:
            entry = self.weights[name]
            if entry["dtype"] != "F32" or entry["shape"] != list(shape):
                raise SystemExit(f"{name}: expected F32 {list(shape)}, found {entry['dtype']} {entry['shape']}")
            begin, end = entry["data_offsets"]
            where = {"location": self.location, "offset": str(begin), "length": str(end - begin)}
            payload = b"".join(delimited(13, delimited(1, k) + delimited(2, v)) for k, v in where.items())
            self.initializers[name] = tensor(name, FLOAT, shape, payload + integer(14, EXTERNAL))
        return name

    def constant(self, name, data_type, shape, values):
        code = "<%dq" if data_type == INT64 else "<%df"
        raw = struct.pack(code % len(values), *values)
        self.initializers[name] = tensor(name, data_type, shape, delimited(9, raw))
        return name

    def linear(self, x, prefix, rows, columns):
        # PyTorch keeps a linear layer's weight transposed; the runtime folds the Transpose when it loads the model.
        weight = self.op("Transpose", self.weight(f"{prefix}.weight", (rows, columns)), perm=[1, 0])
        return self.op("Add", self.op("MatMul", x, weight), self.weight(f"{prefix}.bias", (rows,)))

    def layer_norm(self, x, prefix):
        scale = self.weight(f"{prefix}.weight", (HIDDEN,))
        bias = self.weight(f"{prefix}.bias", (HIDDEN,))
        return self.op("LayerNormalization", x, scale, bias, axis=-1, epsilon=LAYER_NORM_EPSILON)

    def serialize(self, inputs, outputs):
        body = b"".join(delimited(1, node) for node in self.nodes)
        body += delimited(2, "all-MiniLM-L6-v2")
        body += b"".join(delimited(5, item) for item in self.initializers.values())
        body += b"".join(delimited(11, item) for item in inputs)
        body += b"".join(delimited(12, item) for item in outputs)
        opset = delimited(1, "") + integer(2, OPSET)
        return integer(1, IR_VERSION) + delimited(2, "rivulet") + delimited(7, body) + delimited(8, opset)


def embeddings(graph, vocabulary, positions):
    """Word, position and segment embeddings, added up and normalised."""
    zero = graph.constant("zero", INT64, (1,), [0])
    one = graph.constant("one", INT64, (1,), [1])
    two = graph.constant("two", INT64, (1,), [2])
    shape = graph.op("Shape", "input_ids")
    length = graph.op("Squeeze", graph.op("Slice", shape, one, two, zero), zero)
    first = graph.constant("range_start", INT64, (), [0])
    step = graph.constant("range_step", INT64, (), [1])
    position_ids = graph.op("Range", first, length, step)

    words = graph.op("Gather", graph.weight("embeddings.word_embeddings.weight", (vocabulary, HIDDEN)), "input_ids")
    types = graph.op("Gather", graph.weight("embeddings.token_type_embeddings.weight", (2, HIDDEN)), "token_type_ids")
    places = graph.op("Gather", graph.weight("embeddings.position_embeddings.weight", (positions, HIDDEN)), position_ids)
    return graph.layer_norm(graph.op("Add", graph.op("Add", words, types), places), "embeddings.LayerNorm")


def attention_bias(graph):
    """0 where a token counts and the lowest float where it is padding, shaped to be added to attention scores."""
    axes = graph.constant("mask_axes", INT64, (2,), [1, 2])
    mask = graph.op("Cast", graph.op("Unsqueeze", "attention_mask", axes), to=FLOAT)
    unit = graph.constant("mask_one", FLOAT, (), [1.0])
    lowest = graph.constant("mask_lowest", FLOAT, (), [-3.4028234663852886e38])
    return graph.op("Mul", graph.op("Sub", unit, mask), lowest)


def attention(graph, x, bias, prefix, split, join, scale):
    def heads(part, perm):
        projected = graph.linear(x, f"{prefix}.self.{part}", HIDDEN, HIDDEN)
        return graph.op("Transpose", graph.op("Reshape", projected, split), perm=perm)

    query, key, value = heads("query", [0, 2, 1, 3]), heads("key", [0, 2, 3, 1]), heads("value", [0, 2, 1, 3])
    scores = graph.op("Div", graph.op("MatMul", query, key), scale)
    shares = graph.op("Softmax", graph.op("Add", scores, bias), axis=-1)
    context = graph.op("Transpose", graph.op("MatMul", shares, value), perm=[0, 2, 1, 3])
    context = graph.op("Reshape", context, join)
    return graph.op("Add", graph.linear(context, f"{prefix}.output.dense", HIDDEN, HIDDEN), x)


def build(weights, location):
    vocabulary = weights["embeddings.word_embeddings.weight"]["shape"][0]
    positions = weights["embeddings.position_embeddings.weight"]["shape"][0]
    graph = Graph(weights, location)
    x = embeddings(graph, vocabulary, positions)
    bias = attention_bias(graph)
    split = graph.constant("split_heads", INT64, (4,), [0, 0, HEADS, HEAD_SIZE])
    join = graph.constant("join_heads", INT64, (3,), [0, 0, HIDDEN])
    scale = graph.constant("attention_scale", FLOAT, (), [HEAD_SIZE**0.5])
    for layer in range(LAYERS):
        prefix = f"encoder.layer.{layer}"
        attended = attention(graph, x, bias, f"{prefix}.attention", split, join, scale)
        attended = graph.layer_norm(attended, f"{prefix}.attention.output.LayerNorm")
        inner = graph.op("Gelu", graph.linear(attended, f"{prefix}.intermediate.dense", INTERMEDIATE, HIDDEN))
        outer = graph.linear(inner, f"{prefix}.output.dense", HIDDEN, INTERMEDIATE)
        x = graph.layer_norm(graph.op("Add", outer, attended), f"{prefix}.output.LayerNorm")
    graph.op("Identity", x, name="last_hidden_state")

    tokens = ["batch", "sequence"]
    inputs = [value_info(name, INT64, tokens) for name in ("input_ids", "attention_mask", "token_type_ids")]
    return graph.serialize(inputs, [value_info("last_hidden_state", FLOAT, [*tokens, HIDDEN])])


def read_header(path):
    """The safetensors header, with offsets counted from the beginning of the file."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    header.pop("__metadata__", None)
    for entry in header.values():
        entry["data_offsets"] = [8 + length + offset for offset in entry["data_offsets"]]
    return header


def main():
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    source, target = sys.argv[1:]
    model = build(read_header(source), location="model.safetensors")
    with open(target, "wb") as file:
        file.write(model)


if __name__ == "__main__":
    main()
