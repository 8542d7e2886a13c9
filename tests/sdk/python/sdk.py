"""The official `openai` package, unchanged, against the gateway.

    sdk.py http://127.0.0.1:8080 RIVULET_BINARY

The gateway at that address needs the sample knowledge and the built-in model. Others, and the model servers that fail
behind them, are started from the binary and ended by their process. Exits with 1 when the package saw anything else
than it should.
"""

import asyncio
import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.request

import openai
from openai import AsyncOpenAI, OpenAI

QUESTION = [{"role": "user", "content": "How long can I return a tent?"}]
MODELS = ["default", "assistant:autbot", "assistant:companion", "assistant:econ", "assistant:loan", "extractive", "all-MiniLM-L6-v2"]
PATIENCE_S = 20
SECRET = "6f1c0d9be27a43588b3f5c2ad4e9071633a9d8c1f0b24e7596ad3b8c7e5f1024"


def check(kept, what):
    if not kept:
        raise AssertionError(what)


class Programs:
    """Programs of the binary, ended when this is over."""

    def __init__(self, binary):
        self.binary = binary
        self.stack = contextlib.ExitStack()
        self.folder = self.stack.enter_context(tempfile.TemporaryDirectory())

    def start(self, arguments, pattern, **settings):
        """Starts one and returns the address that it tells."""
        environment = {"PATH": os.environ["PATH"], "HOME": self.folder, "NO_COLOR": "1", **settings}
        program = subprocess.Popen(
            [self.binary, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, cwd=self.folder
        )
        self.stack.callback(program.stdout.close)
        self.stack.callback(program.wait)
        self.stack.callback(program.kill)
        said = []
        for line in program.stdout:
            said.append(line.decode())
            if found := re.search(pattern, said[-1]):
                return found.group(1)
        raise AssertionError(f"{arguments} ended: {''.join(said)}")

    def model(self, *arguments):
        """A model server."""
        return self.start(["mock-llm", *arguments], r"(http://[0-9.:]+/v1)")

    def gateway(self, **settings):
        data = tempfile.mkdtemp(dir=self.folder)
        arguments = ["serve", "--bind", "127.0.0.1:0", "--data-dir", data]
        settings = {"RIVULET_KNOWLEDGE_ENABLED": "false", "RIVULET_LLM_RETRIES": "0", **settings}
        return self.start(arguments, r"listening on (http://[0-9.:]+)", **settings)

    def output(self, *arguments, **settings):
        environment = {"PATH": os.environ["PATH"], "HOME": self.folder, **settings}
        done = subprocess.run(
            [self.binary, *arguments], env=environment, cwd=self.folder, check=True, capture_output=True, timeout=PATIENCE_S
        )
        return done.stdout.decode().strip()


def client(url, key="placeholder", **options):
    return OpenAI(base_url=f"{url}/v1", api_key=key, timeout=PATIENCE_S, **options)


def ask(ai, **options):
    return ai.chat.completions.create(**{"model": "default", "messages": QUESTION, **options})


def tool(name):
    schema = {"type": "object", "properties": {"x": {"type": "string"}}}
    return {"type": "function", "function": {"name": name, "description": "Does it.", "parameters": schema}}


def raised(kind, call):
    """The error of this very kind that the call raises."""
    try:
        result = call()
    except openai.OpenAIError as error:
        check(type(error) is kind, f"instead of {kind.__name__}: {error!r}")
        return error
    raise AssertionError(f"instead of {kind.__name__}: {result!r}")


def whole_answers(url, _):
    """an answer, its usage and its sources; the request's id; the raw response"""
    answer = ask(client(url), temperature=0.2, max_completion_tokens=200, user="somebody")
    choice = answer.choices[0]
    check("60 days" in choice.message.content and choice.finish_reason == "stop", f"answered {answer}")
    check((choice.message.role, choice.message.refusal, answer.object) == ("assistant", None, "chat.completion"), answer)
    usage = answer.usage
    check(0 < usage.completion_tokens < usage.total_tokens == usage.prompt_tokens + usage.completion_tokens, usage)
    extension = answer.model_extra["rivulet"]
    check(extension["status"] == "complete" and extension["sources"][0]["title"] == "Returns and refunds", extension)
    check(extension["citations"][0]["n"] == 1, extension)
    check(answer.model == "extractive" and answer._request_id, "no request id")
    raw = client(url).chat.completions.with_raw_response.create(model="default", messages=QUESTION)
    check(raw.status_code == 200 and raw.headers["x-request-id"], "no raw response")
    check("60 days" in raw.parse().choices[0].message.content, "the raw response is not parsed")


def conversations(url, _):
    """an answer of the package goes back as history"""
    ai = client(url)
    first = ask(ai)
    history = [{"role": "system", "content": "Be brief."}, *QUESTION, first.choices[0].message]
    question = {"role": "user", "content": [{"type": "text", "text": "And how long can I return a stove?"}]}
    answer = ask(ai, messages=[*history, question])
    check(answer.choices[0].finish_reason == "stop" and answer.choices[0].message.content, f"answered {answer}")


def odd_requests(url, _):
    """instructions alone, an answer to go on with, holes in the history, numbers as texts; whether the answer was known"""
    ai = client(url)
    alone = [{"role": "system", "content": QUESTION[0]["content"]}]
    begun = [*QUESTION, {"role": "assistant", "content": "Tents "}]
    holes = [{"role": "user", "content": ""}, {"role": "assistant", "content": "Hi"}, *QUESTION]
    for options in [
        {"messages": alone, "presence_penalty": 0, "max_tokens": 1024.0},
        {"messages": begun},
        {"messages": holes, "max_tokens": -1, "temperature": "0.7", "stop": "", "seed": 1.0},
        {"tools": [tool("f")], "tool_choice": "none"},
        {"tools": [tool("f")]},
    ]:
        answer = ask(ai, **options)
        check("60 days" in answer.choices[0].message.content, f"{options}: answered {answer}")
    # The gateway of these tests keeps nothing.
    raw = ai.chat.completions.with_raw_response.create(model="default", messages=QUESTION, temperature=0)
    check(raw.headers["cache-status"].startswith("rivulet; fwd="), raw.headers["cache-status"])


def tools(_, programs):
    """calls of the program's tools, whole whichever way a server writes them, and the answer to their results; streamed too"""
    ask_for = 'say "Let me see." and call calc {"x":"1+1"} and call time {} then say "Done."'
    question = {"role": "user", "content": ask_for}
    offered = [tool("calc"), tool("time")]
    for fault in [[], ["--fault", "tools-index-zero"], ["--fault", "tools-args-object"], ["--fault", "tools-finish-stop"]]:
        ai = client(programs.gateway(RIVULET_LLM_BASE_URL=programs.model("--rate", "0", *fault)))
        answer = ask(ai, messages=[question], tools=offered)
        with ai.chat.completions.stream(model="default", messages=[question], tools=offered) as stream:
            for _event in stream:
                pass
            streamed = stream.get_final_completion()
        for told in [answer, streamed]:
            choice = told.choices[0]
            check((choice.finish_reason, choice.message.content) == ("tool_calls", "Let me see."), choice)
            called = [(call.function.name, call.function.arguments) for call in choice.message.tool_calls]
            check(called == [("calc", '{"x":"1+1"}'), ("time", "{}")], f"{fault}: called {called}")
            results = [{"role": "tool", "tool_call_id": call.id, "content": "2"} for call in choice.message.tool_calls]
            done = ask(ai, messages=[question, choice.message, *results], tools=offered)
            check((done.choices[0].message.content, done.choices[0].finish_reason) == ("Done.", "stop"), done)
        called = ask(ai, messages=[question], tools=offered, parallel_tool_calls=False).choices[0].message.tool_calls
        check(len(called) == 1, f"{fault}: called {called}")
    error = raised(openai.BadRequestError, lambda: ask(ai, messages=[question, choice.message], tools=offered))
    check(error.param == "messages[1].tool_calls[0].id", error)


def embeddings(url, _):
    """vectors of texts: as the package asks for them, and as numbers; what is wrong is refused"""
    ai = client(url)
    texts = ["How long can I return a tent?", "Returning a tent", "A recipe of bread"]
    made = ai.embeddings.create(model=MODELS[-1], input=texts)
    near, far = (sum(a * b for a, b in zip(made.data[0].embedding, made.data[at].embedding)) for at in [1, 2])
    check(len(made.data[0].embedding) == 384 and near > far + 0.2, f"{near} and {far}")
    check(made.usage.prompt_tokens > 10 and made.model == MODELS[-1], made.usage)
    as_numbers = ai.embeddings.create(model=MODELS[-1], input=texts[0], encoding_format="float", dimensions=384)
    off = max(abs(a - b) for a, b in zip(as_numbers.data[0].embedding, made.data[0].embedding))
    check(off < 1e-4, f"the numbers differ by {off}")
    error = raised(openai.NotFoundError, lambda: ai.embeddings.create(model="text-embedding-3-small", input="x"))
    check(error.code == "model_not_found", error)
    error = raised(openai.BadRequestError, lambda: ai.embeddings.create(model=MODELS[-1], input=[1, 2]))
    check((error.code, error.param) == ("unsupported_parameter", "input[0]"), error)


def streams(url, _):
    """a stream: its text, sources, usage and end; the package's own stream helper"""
    chunks = list(ask(client(url), stream=True, stream_options={"include_usage": True}))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    check("60 days" in text, f"streamed {text}")
    check(chunks[0].choices[0].delta.role == "assistant", chunks[0])
    check(chunks[0].model_extra["rivulet"]["sources"][0]["title"] == "Returns and refunds", chunks[0])
    check(chunks[-1].choices == [] and chunks[-1].usage.completion_tokens > 0, chunks[-1])
    check([chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop", chunks[-2])
    check(chunks[-2].model_extra["rivulet"]["citations"], chunks[-2])
    with client(url).chat.completions.stream(model="default", messages=QUESTION) as stream:
        for _event in stream:
            pass
        check(stream.get_final_completion().choices[0].message.content == text, "the helper has another text")


def asynchronous(url, _):
    """the same without blocking, several at once"""

    async def all_of_them():
        async with AsyncOpenAI(base_url=f"{url}/v1", api_key="placeholder", timeout=PATIENCE_S) as ai:

            async def one():
                stream = await ai.chat.completions.create(model="default", messages=QUESTION, stream=True)
                return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

            texts = await asyncio.gather(*(one() for _ in range(8)))
            check(all("60 days" in text for text in texts), f"streamed {texts}")
            names = [model.id async for model in ai.models.list()]
            check(names == MODELS, f"the models are {names}")

    asyncio.run(all_of_them())


def models(url, _):
    """models are listed and found"""
    ai = client(url)
    check([model.id for model in ai.models.list()] == MODELS, "other models")
    check(ai.models.retrieve("default").owned_by == "rivulet", "another owner")
    error = raised(openai.NotFoundError, lambda: ai.models.retrieve("gpt-99"))
    check((error.code, error.param) == ("model_not_found", "model"), error)


def refusals(url, _):
    """a wrong request is a BadRequestError that names the field"""
    ai = client(url)
    for options, code, param in [
        ({"temperature": 3}, "invalid_field", "temperature"),
        ({"n": 2}, "unsupported_parameter", "n"),
        ({"messages": [{"role": "user", "content": ""}]}, "empty_text", "messages[0].content"),
        ({"tools": [{"type": "function", "function": {"name": "f g"}}]}, "invalid_field", "tools[0].function.name"),
        ({"functions": [{"name": "f"}]}, "unsupported_parameter", "functions"),
    ]:
        error = raised(openai.BadRequestError, lambda: ask(ai, **options))
        check((error.code, error.param, error.type) == (code, param, "invalid_request_error"), error)
        raised(openai.BadRequestError, lambda: ask(ai, stream=True, **options))
    large = [{"role": "user", "content": "x" * (2 << 20)}]
    error = raised(openai.APIStatusError, lambda: ask(client(url, max_retries=0), messages=large))
    check((error.status_code, error.code) == (413, "too_large"), error)


def keys(_, programs):
    """where keys are needed, a wrong one is an AuthenticationError"""
    settings = {"REQUIRE_AUTHENTICATION": "true", "JWT_SECRET_KEY": SECRET}
    url = programs.gateway(**settings)
    for wrong in ["placeholder", "a.b.c"]:
        error = raised(openai.AuthenticationError, lambda: ask(client(url, wrong)))
        check(error.code == "unauthenticated", error)
        raised(openai.AuthenticationError, lambda: client(url, wrong).models.list())
    token = programs.output("token", "--user", "ann", **settings)
    check(ask(client(url, token)).choices[0].message.content, "no answer with a token")


def broken_streams(_, programs):
    """an answer that breaks off raises, and is never whole"""
    model = programs.model("--rate", "0", "--fault", "cut:5")
    url = programs.gateway(RIVULET_LLM_BASE_URL=model, RIVULET_LLM_BREAKER_FAILURES="1000")
    got = []

    def read():
        for chunk in ask(client(url), stream=True):
            got.append(chunk.choices[0])

    error = raised(openai.APIError, read)
    check((error.code, error.type) == ("upstream_unavailable", "server_error"), error)
    check("".join(choice.delta.content or "" for choice in got) == "A rivulet is a very", f"streamed {got}")
    check(all(choice.finish_reason is None for choice in got), "it was told as whole")

    error = raised(openai.InternalServerError, lambda: ask(client(url, max_retries=0)))
    check((error.status_code, error.code) == (502, "upstream_unavailable"), error)
    check(error.response.json()["rivulet"] == {"status": "incomplete", "partial": "A rivulet is a very"}, error.response.text)


def failing_models(_, programs):
    """a model that fails at once raises, streamed or not; a rejection is not tried again"""
    for fault, status, code in [("status:500", 502, "upstream_unavailable"), ("status:401", 502, "upstream_rejected"),
                                ("stall:0", 504, "upstream_timeout")]:
        url = programs.gateway(RIVULET_LLM_BASE_URL=programs.model("--fault", fault), RIVULET_LLM_FIRST_TOKEN_S="0.5")
        for stream in [False, True]:
            error = raised(openai.InternalServerError, lambda: ask(client(url, max_retries=0), stream=stream))
            check((error.status_code, error.code) == (status, code), error)
        if code == "upstream_rejected":
            raised(openai.InternalServerError, lambda: ask(client(url)))  # The package's own retries are on.
            said = urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{url}/metrics").read().decode()
            runs = re.search(r'runs_total\{status="error"\} (\d+)', said).group(1)
            check(runs == "3", f"{runs} runs for three requests")


def leaving(_, programs):
    """who closes a stream stops the answer"""
    url = programs.gateway(RIVULET_LLM_BASE_URL=programs.model("--rate", "20", "--tokens", "1000"))
    stream = ask(client(url), stream=True)
    next(iter(stream))
    stream.close()
    deadline = time.monotonic() + PATIENCE_S
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while 'runs_total{status="stopped"} 1' not in opener.open(f"{url}/metrics").read().decode():
        check(time.monotonic() < deadline, "the answer goes on")


CHECKS = [whole_answers, conversations, odd_requests, tools, embeddings, streams, asynchronous, models, refusals, keys, broken_streams,
          failing_models, leaving]


def main(url, binary):
    failed = 0
    for one in CHECKS:
        programs = Programs(binary)
        with programs.stack:
            try:
                one(url, programs)
                print(f"ok: {one.__doc__}")
            except Exception:
                failed += 1
                print(f"FAILED: {one.__doc__}\n{traceback.format_exc()}")
    print(f"openai {openai.__version__} for Python: {len(CHECKS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: sdk.py URL-OF-THE-GATEWAY RIVULET-BINARY")
    sys.exit(main(sys.argv[1].rstrip("/"), sys.argv[2]))
