"""Chroma's side of `benches/peers/knowledge`: its own embedding function, with the gateway's model files.

    side.py ingest FOLDER CHUNKS.json     into a persistent client, in one process
    side.py query PORT QUESTIONS.json     over its server; the client embeds, as Chroma's do
    side.py alone - CHUNKS.json           without Chroma: ONNX Runtime with one thread, a text in a call

MODEL names the model's folder. Chroma fills every text up to 256 tokens; with PLAIN=1 each has a call of its own, as long
as it is, which is the best that can be done with this function.
"""

import concurrent.futures
import functools
import json
import os
import sys
import time

import chromadb
import numpy
import onnxruntime
from chromadb.utils.embedding_functions.onnx_mini_lm_l6_v2 import ONNXMiniLM_L6_V2

ADDED_AT_ONCE = 100
PLAIN = os.environ.get("PLAIN") == "1"


class Model(ONNXMiniLM_L6_V2):
    DOWNLOAD_PATH = os.path.dirname(os.environ["MODEL"].rstrip("/"))
    EXTRACTED_FOLDER_NAME = os.path.basename(os.environ["MODEL"].rstrip("/"))

    def _download_model_if_not_exists(self):
        pass

    @functools.cached_property
    def tokenizer(self):
        tokenizer = ONNXMiniLM_L6_V2.tokenizer.func(self)
        if PLAIN:
            tokenizer.no_padding()
        return tokenizer

    def _forward(self, documents, batch_size=32):
        return super()._forward(documents, 1 if PLAIN else batch_size)


def memory_mb(field):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field + ":")) / 1024


def quantile(times, share):
    return sorted(times)[min(len(times) - 1, int(len(times) * share))] * 1000


def ingest(folder, chunks):
    model = Model()
    model(["ready"])
    collection = chromadb.PersistentClient(folder).create_collection("documents", embedding_function=model)
    started, before = time.monotonic(), time.process_time()
    for at in range(0, len(chunks), ADDED_AT_ONCE):
        part = chunks[at:at + ADDED_AT_ONCE]
        collection.add(ids=[str(at + i) for i in range(len(part))], documents=part)
    cpu = time.process_time() - before
    return {"seconds": time.monotonic() - started, "cpu_s": cpu, "memory_mb": memory_mb("VmHWM")}


def alone(_, chunks):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    path = os.path.join(os.environ["MODEL"], "model.onnx")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    tokenizer = Model().tokenizer
    tokenizer.no_padding()
    started, before = time.monotonic(), time.process_time()
    for text in chunks:
        encoded = tokenizer.encode(text)
        ids, mask = (numpy.array([part], dtype=numpy.int64) for part in (encoded.ids, encoded.attention_mask))
        session.run(None, {"input_ids": ids, "attention_mask": mask, "token_type_ids": numpy.zeros_like(ids)})
    return {"seconds": time.monotonic() - started, "cpu_s": time.process_time() - before, "memory_mb": memory_mb("VmHWM")}


def query(port, questions):
    client = chromadb.HttpClient("127.0.0.1", int(port))
    collection = client.get_collection("documents", embedding_function=Model())

    def ask(question):
        started = time.perf_counter()
        found = collection.query(query_texts=[question], n_results=10)
        assert len(found["ids"][0]) == 10 or len(questions) < 10
        return time.perf_counter() - started

    ask("ready")
    times = [ask(question) for question in questions]
    started = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        together = list(pool.map(ask, [question + " again" for question in questions]))
    return {
        "p50_ms": quantile(times, 0.5), "p95_ms": quantile(times, 0.95), "one_per_s": len(times) / sum(times),
        "many_per_s": len(together) / (time.monotonic() - started), "many_p95_ms": quantile(together, 0.95),
        "memory_mb": memory_mb("VmRSS"),
    }


if __name__ == "__main__":
    does, where, what = sys.argv[1:]
    with open(what) as file:
        print(json.dumps({"ingest": ingest, "query": query, "alone": alone}[does](where, json.load(file))))
