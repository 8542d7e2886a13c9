"""Rivulet's OpenAI surface beside the LiteLLM proxy: what either adds to a stream that goes to the model directly."""

import contextlib
import json
import pathlib
import subprocess
import tempfile
import threading

from servers import PROBE, Server, free_port, mock, python_folder, rivulet, running, say, table

# Questions of each stream and tokens of an answer, by streams at a time; the rate keeps two cores from being full.
SHAPES = {1: (100, 50, 200), 10: (40, 50, 100), 100: (10, 50, 20), 1000: (3, 50, 5)}


@contextlib.contextmanager
def litellm(model):
    """One worker, for the model and the client need the other core, and nothing fetched from the network.

    With several, a supervisor kills those that are still busy with their start after five seconds.
    """
    program = python_folder("litellm") / "bin/litellm"
    port = free_port()
    env = {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_TELEMETRY": "False",
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_LOG": "ERROR",
        "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
    }
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder) / "config.yaml"
        target = {"model": "openai/mock", "api_base": f"http://127.0.0.1:{model.port}/v1", "api_key": "none"}
        # JSON is YAML.
        config.write_text(json.dumps({
            "model_list": [{"model_name": "mock", "litellm_params": target}],
            "litellm_settings": {"telemetry": False, "num_retries": 0},
        }))
        command = [program, "--config", config, "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
        with running(Server("LiteLLM", command, port, env, cwd=folder, ready="/health/readiness")) as server:
            yield server


@contextlib.contextmanager
def direct(model):
    yield model


def gateways(size):
    lines = []
    for streams in size["gateways"]:
        questions, tokens, rate = SHAPES[streams]
        floor = None
        for name, start in (("no gateway", direct), ("Rivulet", rivulet), ("LiteLLM", litellm)):
            with mock(rate, tokens, stamped=False) as model, start(model) as server:
                row = ask(name, server, streams, questions, tokens)
            floor = floor or row
            added = [f"{row[at] - floor[at]:.2f}" for at in ("first_p50", "first_p99")]
            lines.append([
                streams, name, f"{row['first_p50']:.2f} / {row['first_p99']:.2f} ms",
                "" if row is floor else f"{added[0]} / {added[1]} ms",
                "" if row is floor else f"{row['cpu_us']:.1f} µs", "" if row is floor else f"{row['memory_mb']:.0f} MB",
                f"{row['per_s']:.0f}", row["faults"],
            ])
    print("### Beside another gateway\n\n`POST /v1/chat/completions`, streaming, 50 tokens an answer.\n")
    table(["streams", "through", "first token p50 / p99", "added", "CPU per token", "memory", "tokens per second",
           "faults"], lines)


def ask(name, server, streams, questions, tokens):
    """What streams that all run at the same time see, and what they cost the server."""
    base = f"http://127.0.0.1:{server.port}/v1"
    model = json.loads(server.get("/v1/models"))["data"][0]["id"]
    command = [PROBE, base, model, str(streams), str(questions), str(tokens), str(streams / 200)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as probe:
        probe.stdout.readline()  # Every stream has its connection.
        cpu, peak_kb, done = server.cpu_s(), [0], threading.Event()

        def sample():
            while not done.wait(0.2):
                with contextlib.suppress(OSError):
                    peak_kb[0] = max(peak_kb[0], server.memory_kb())

        sampler = threading.Thread(target=sample)
        sampler.start()
        try:
            row = json.loads(probe.stdout.readline() or '{"faults": -1, "fault": "the probe failed"}')
        finally:
            done.set()
            sampler.join()
        cpu = server.cpu_s() - cpu
    say(f"  {name}: {streams} streams, {row}")
    if row["faults"]:
        say(f"  {name} said: {server.said()}")
    row["cpu_us"] = cpu / max(row["tokens"], 1) * 1e6
    row["memory_mb"] = peak_kb[0] / 1024
    row["per_s"] = row["tokens"] / row["seconds"]
    return row
