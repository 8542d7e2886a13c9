#!/usr/bin/env python3
"""Writes model.onnx for a BERT whose config.json and model.safetensors are in a folder.

    bert_graph.py FOLDER

ONNX lets an initializer live in another file, given by offset and length. The weights in a safetensors file are plain
little-endian arrays whose offsets stand in its JSON header, so a small graph can point straight into that file and
nothing has to be converted. Weights of four bits are multiplied out by the graph: those of the layers once, when it is
loaded, and those of the word table only for the words of a text. ONNX files are Protocol Buffers; the few message types
needed are encoded by hand below, so that the standard library is enough. Field numbers are those of onnx.proto3.
"""

import json
import os
import struct
import sys

WEIGHTS = "model.safetensors"

IR_VERSION = 9
OPSET = 20  # the first with Gelu as an operator of its own
FLOAT, UINT8, INT64, FLOAT16 = 1, 2, 7, 10  # TensorProto.DataType
STORED = {"F32": FLOAT, "U8": UINT8, "F16": FLOAT16}  # as safetensors calls them
ATTRIBUTE_FLOAT, ATTRIBUTE_INT, ATTRIBUTE_STRING, ATTRIBUTE_INTS = 1, 2, 3, 7  # AttributeProto.AttributeType
EXTERNAL = 1  # TensorProto.DataLocation
BLOCK = 32  # weights of four bits that share a scale


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
    if isinstance(value, str):
        return head + delimited(4, value) + integer(20, ATTRIBUTE_STRING)
    return head + b"".join(integer(8, item) for item in value) + integer(20, ATTRIBUTE_INTS)


def value_info(name, data_type, shape):
    def dimension(size):
        return delimited(2, size) if isinstance(size, str) else integer(1, size)

    dims = b"".join(delimited(1, dimension(size)) for size in shape)
    tensor_type = integer(1, data_type) + delimited(2, dims)
    return delimited(1, name) + delimited(2, delimited(1, tensor_type))


class Graph:
    """Collects nodes and initializers; every method returns the name of the tensor it makes."""

    def __init__(self, name, config, weights):
        self.name = name
        self.config = config
        self.hidden = config["hidden_size"]
        self.weights = weights
        self.nodes = []
        self.initializers = {}

    def op(self, kind, *inputs, name=None, **attributes):
        output = name or f"{kind}_{len(self.nodes)}"
        node = b"".join(delimited(1, item) for item in inputs) + delimited(2, output)
        node += delimited(3, output) + delimited(4, kind)
        node += b"".join(delimited(5, attribute(key, value)) for key, value in attributes.items())
        self.nodes.append(node)
        return output

    def stored(self, name, dtype, shape):
        """An initializer whose bytes are a stretch of the safetensors file."""
        if name not in self.initializers:
            entry = self.weights[name]
            if entry["dtype"] != dtype or entry["shape"] != list(shape):
                raise SystemExit(f"{name}: expected {dtype} {list(shape)}, found {entry['dtype']} {entry['shape']}")
            begin, end = entry["data_offsets"]
            where = {"location": WEIGHTS, "offset": str(begin), "length": str(end - begin)}
            payload = b"".join(delimited(13, delimited(1, k) + delimited(2, v)) for k, v in where.items())
            self.initializers[name] = tensor(name, STORED[dtype], shape, payload + integer(14, EXTERNAL))
        return name

    def matrix(self, name, rows, columns):
        """A matrix of weights; with four bits each, when it is stored so."""
        if name in self.weights:
            return self.stored(name, "F32", (rows, columns))
        shape = self.constant(f"{name}.shape", INT64, (2,), [rows, columns])
        return self.op("Reshape", self.unpacked(*self.packed(name, rows, columns)), shape)

    def rows(self, name, rows, columns, which):
        """Those rows of a matrix that `which` names."""
        if name in self.weights:
            return self.op("Gather", self.stored(name, "F32", (rows, columns)), which)
        nibbles, scales = (self.op("Gather", part, which) for part in self.packed(name, rows, columns))
        shape = self.constant(f"{name}.shape", INT64, (3,), [0, 0, columns])
        return self.op("Reshape", self.unpacked(nibbles, scales), shape)

    def packed(self, name, rows, columns):
        blocks = columns // BLOCK
        nibbles = self.stored(f"{name}.nibbles", "U8", (rows, blocks, BLOCK // 2))
        return nibbles, self.stored(f"{name}.scales", "F16", (rows, blocks, 1))

    def unpacked(self, nibbles, scales):
        """Floats: a byte has a weight of the block's first half below, and one of its second half above."""
        low = self.op("BitwiseAnd", nibbles, self.constant("low_bits", UINT8, (), [15]))
        high = self.op("BitShift", nibbles, self.constant("four_bits", UINT8, (), [4]), direction="RIGHT")
        levels = self.op("Cast", self.op("Concat", low, high, axis=-1), to=FLOAT)
        middle = self.constant("middle_level", FLOAT, (), [8.0])
        return self.op("Mul", self.op("Sub", levels, middle), self.op("Cast", scales, to=FLOAT))

    def constant(self, name, data_type, shape, values):
        code = {INT64: "q", FLOAT: "f", UINT8: "B"}[data_type]
        raw = struct.pack(f"<{len(values)}{code}", *values)
        self.initializers[name] = tensor(name, data_type, shape, delimited(9, raw))
        return name

    def linear(self, x, prefix, rows, columns):
        # PyTorch keeps a linear layer's weight transposed; the runtime folds the Transpose when it loads the model.
        weight = self.op("Transpose", self.matrix(f"{prefix}.weight", rows, columns), perm=[1, 0])
        return self.op("Add", self.op("MatMul", x, weight), self.stored(f"{prefix}.bias", "F32", (rows,)))

    def layer_norm(self, x, prefix):
        scale = self.stored(f"{prefix}.weight", "F32", (self.hidden,))
        bias = self.stored(f"{prefix}.bias", "F32", (self.hidden,))
        return self.op("LayerNormalization", x, scale, bias, axis=-1, epsilon=self.config["layer_norm_eps"])

    def serialize(self, inputs, outputs):
        body = b"".join(delimited(1, node) for node in self.nodes)
        body += delimited(2, self.name)
        body += b"".join(delimited(5, item) for item in self.initializers.values())
        body += b"".join(delimited(11, item) for item in inputs)
        body += b"".join(delimited(12, item) for item in outputs)
        opset = delimited(1, "") + integer(2, OPSET)
        return integer(1, IR_VERSION) + delimited(2, "rivulet") + delimited(7, body) + delimited(8, opset)


def embeddings(graph):
    """Word, position and segment embeddings, added up and normalised."""
    zero = graph.constant("zero", INT64, (1,), [0])
    one = graph.constant("one", INT64, (1,), [1])
    two = graph.constant("two", INT64, (1,), [2])
    shape = graph.op("Shape", "input_ids")
    length = graph.op("Squeeze", graph.op("Slice", shape, one, two, zero), zero)
    first = graph.constant("range_start", INT64, (), [0])
    step = graph.constant("range_step", INT64, (), [1])
    position_ids = graph.op("Range", first, length, step)

    def looked_up(table, size, which):
        return graph.rows(f"embeddings.{table}_embeddings.weight", graph.config[size], graph.hidden, which)

    words = looked_up("word", "vocab_size", "input_ids")
    types = looked_up("token_type", "type_vocab_size", "token_type_ids")
    places = looked_up("position", "max_position_embeddings", position_ids)
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
        projected = graph.linear(x, f"{prefix}.self.{part}", graph.hidden, graph.hidden)
        return graph.op("Transpose", graph.op("Reshape", projected, split), perm=perm)

    query, key, value = heads("query", [0, 2, 1, 3]), heads("key", [0, 2, 3, 1]), heads("value", [0, 2, 1, 3])
    scores = graph.op("Div", graph.op("MatMul", query, key), scale)
    shares = graph.op("Softmax", graph.op("Add", scores, bias), axis=-1)
    context = graph.op("Transpose", graph.op("MatMul", shares, value), perm=[0, 2, 1, 3])
    context = graph.op("Reshape", context, join)
    return graph.op("Add", graph.linear(context, f"{prefix}.output.dense", graph.hidden, graph.hidden), x)


def build(name, config, weights):
    hidden, heads, inside = config["hidden_size"], config["num_attention_heads"], config["intermediate_size"]
    graph = Graph(name, config, weights)
    x = embeddings(graph)
    bias = attention_bias(graph)
    split = graph.constant("split_heads", INT64, (4,), [0, 0, heads, hidden // heads])
    join = graph.constant("join_heads", INT64, (3,), [0, 0, hidden])
    scale = graph.constant("attention_scale", FLOAT, (), [(hidden // heads) ** 0.5])
    for layer in range(config["num_hidden_layers"]):
        prefix = f"encoder.layer.{layer}"
        attended = attention(graph, x, bias, f"{prefix}.attention", split, join, scale)
        attended = graph.layer_norm(attended, f"{prefix}.attention.output.LayerNorm")
        inner = graph.op("Gelu", graph.linear(attended, f"{prefix}.intermediate.dense", inside, hidden))
        outer = graph.linear(inner, f"{prefix}.output.dense", hidden, inside)
        x = graph.layer_norm(graph.op("Add", outer, attended), f"{prefix}.output.LayerNorm")
    graph.op("Identity", x, name="last_hidden_state")

    tokens = ["batch", "sequence"]
    inputs = [value_info(name, INT64, tokens) for name in ("input_ids", "attention_mask", "token_type_ids")]
    return graph.serialize(inputs, [value_info("last_hidden_state", FLOAT, [*tokens, hidden])])


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
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    folder = sys.argv[1]
    with open(os.path.join(folder, "config.json")) as file:
        config = json.load(file)
    name = os.path.basename(os.path.abspath(folder))
    model = build(name, config, read_header(os.path.join(folder, WEIGHTS)))
    with open(os.path.join(folder, "model.onnx"), "wb") as file:
        file.write(model)


if __name__ == "__main__":
    main()
