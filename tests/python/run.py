"""The Python package as a user gets it: built, put into an empty environment, typed, tried, and used as its pages say.

    run.py RIVULET_BINARY FOLDER-OF-WHEELS

FOLDER-OF-WHEELS has what the package needs (scripts/wheels.sh); nothing is fetched. The Python that runs this has the list
of requirements.txt. Exits with 1 when anything is not as promised.
"""

import contextlib
import os
import pathlib
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import venv

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PACKAGE = ROOT / "packages" / "python"
PAGES = [PACKAGE / "README.md", ROOT / "docs" / "python.md"]
ADDRESS = "http://127.0.0.1:8080"
PATIENCE_S = 240
ENDS_S = 15
SECRET = secrets.token_hex(32)


def say(*arguments, **options):
    """Runs a program that must succeed; what it says is shown when it does not."""
    done = subprocess.run(
        [str(one) for one in arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE_S, **options
    )
    if done.returncode != 0:
        sys.exit(f"FAILED: {' '.join(str(one) for one in arguments)[:300]}\n{done.stdout.decode()}")
    return done.stdout.decode()


def end(program):
    """Ends a program, by force where asking does not."""
    program.terminate()
    try:
        program.wait(ENDS_S)
    except subprocess.TimeoutExpired:
        program.kill()
        program.wait()


class Programs:
    """The gateways and their model, ended when this is over."""

    def __init__(self, binary, folder, ends):
        self.binary, self.folder, self.ends, self.count = binary, folder, ends, 0

    def start(self, *arguments, **settings):
        """Starts one and returns the address that it tells."""
        self.count += 1
        log = open(self.folder / f"{self.count}.log", "w+b")
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "NO_COLOR": "1", **settings}
        program = subprocess.Popen([self.binary, *arguments], stdout=log, stderr=log, env=environment, cwd=self.folder)
        self.ends.callback(log.close)
        self.ends.callback(end, program)
        while True:
            log.seek(0)
            said = log.read().decode()
            if found := re.search(r"(?:listening on|mock model at) (http://127\.0\.0\.1:\d+)", said):
                return found.group(1)
            if program.poll() is not None:
                sys.exit(f"FAILED: {arguments} ended: {said}")
            with contextlib.suppress(subprocess.TimeoutExpired):
                program.wait(0.1)

    def gateway(self, model, **settings):
        return self.start(
            "serve", "--bind", "127.0.0.1:0", "--data-dir", str(self.folder / f"data{self.count}"),
            OPENAI_BASE_URL=f"{model}/v1", RIVULET_KNOWLEDGE_ENABLED="false", RIVULET_LLM_CACHE_ENTRIES="0",
            RIVULET_ASSISTANTS_DIR=str(self.folder / "assistants"), **settings,
        )  # fmt: skip


def blocks(page):
    """The code of a page: each language and text."""
    return re.findall(r"^```(python|sh)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def main(binary, wheels):
    with contextlib.ExitStack() as ends:
        folder = pathlib.Path(ends.enter_context(tempfile.TemporaryDirectory()))
        say(sys.executable, "-m", "hatchling", "build", "-d", folder / "dist", cwd=PACKAGE)
        names = [one.name for one in (folder / "dist").iterdir()]
        print(f"ok: it is built: {', '.join(sorted(names))}", flush=True)

        empty = folder / "venv"
        venv.create(empty, with_pip=True, symlinks=True)
        python = empty / "bin" / "python"
        find = [f"--find-links={folder / 'dist'}", f"--find-links={wheels}"]
        say(python, "-m", "pip", "install", "--quiet", "--no-index", *find, "rivulet-client", cwd=folder)
        listed = say(python, "-m", "pip", "list", "--format=freeze", cwd=folder)
        extra = {line.split("==")[0] for line in listed.split()} - {"pip", "setuptools", "rivulet-client", "rivulet_client", "websockets"}
        if extra:
            sys.exit(f"FAILED: it brings more than it says: {extra}")
        print("ok: it is installed from its wheel, with websockets alone", flush=True)

        # Away from the sources, so that what is tried is what was installed.
        told = say(python, "-m", "unittest", "discover", "-s", PACKAGE / "tests", "-t", PACKAGE, cwd=folder)
        print(f"ok: its own tests: {re.search('Ran .*', told).group(0)}", flush=True)

        load = ROOT / "examples" / "load" / "locustfile.py"
        types = os.environ | {"MYPYPATH": str(PACKAGE / "src")}
        ours = [sys.executable, "-m", "mypy", "--cache-dir", folder / "mypy"]
        say(*ours, "--strict", PACKAGE / "src", PACKAGE / "tests", cwd=folder, env=types)
        say(*ours, "--check-untyped-defs", load, cwd=folder, env=types)  # Locust's decorators have no types.
        checked = [HERE / "sample.py"]
        for number, (language, code) in enumerate(block for page in PAGES for block in blocks(page)):
            if language == "python":
                checked.append(folder / f"block_{number}.py")
                checked[-1].write_text(f"async def page() -> None:\n{indented(code)}" if loose(code) else code)
        mypy = [sys.executable, "-m", "mypy", "--strict", "--python-executable", python, "--cache-dir", folder / "mypy-user"]
        for one in checked:
            say(*mypy, one, cwd=folder)
        print(f"ok: mypy --strict: the package and its tests, a user's sample, and {len(checked) - 1} blocks of the pages", flush=True)

        programs = Programs(binary, folder, ends)
        (folder / "rivulet.toml").touch()
        (folder / "assistants").mkdir()
        for one in (ROOT / "assistants").glob("loan*"):
            shutil.copy(one, folder / "assistants")
        model = programs.start("mock-llm", "--rate", "100", "--tokens", "90")
        url = programs.gateway(model)
        guarded = programs.gateway(model, REQUIRE_AUTHENTICATION="true", JWT_SECRET_KEY=SECRET)
        environment = os.environ | {"NO_PROXY": "*", "no_proxy": "*", "JWT_SECRET_KEY": SECRET}
        environment |= {"PATH": f"{empty / 'bin'}:{os.environ['PATH']}", "PIP_NO_INDEX": "1"}
        environment |= {"PIP_FIND_LINKS": f"{folder / 'dist'} {wheels}", "RIVULET_TOKEN": ""}

        ran = 0
        for page in PAGES:
            for language, code in blocks(page):
                code = code.replace(ADDRESS, url)
                if language == "python":
                    code = f"import asyncio\nasync def page():\n{indented(code)}asyncio.run(page())\n" if loose(code) else code
                    out = say(python, "-W", "error", "-c", code, cwd=folder, env=environment)
                else:
                    out = say("bash", "-euo", "pipefail", "-c", code, cwd=folder, env=environment)
                ran += 1
                if "Traceback" in out:
                    sys.exit(f"FAILED: a block of {page.name} says {out}\n{code}")
        print(f"ok: {ran} blocks of the pages were run", flush=True)

        began = time.monotonic()
        told = say(
            sys.executable, "-m", "locust", "--headless", "--locustfile", load, "--host", url, "--users", "10",
            "--spawn-rate", "10", "--run-time", "8s", "--stop-timeout", "20", "--only-summary", "--exit-code-on-error", "1",
            cwd=folder, env=environment | {"PYTHONPATH": str(PACKAGE / "src")},
        )  # fmt: skip
        asked = re.search(r"ask +whole answer +(\d+) +(\d+)", told)
        if not asked or int(asked.group(1)) < 10 or int(asked.group(2)) != 0:
            sys.exit(f"FAILED: locust: {told}")
        print(f"ok: locust: {asked.group(1)} answers of 10 users in {time.monotonic() - began:.0f} s", flush=True)

        node = [ROOT / "scripts" / "with-node.sh", "node", "--experimental-websocket", "--no-warnings"]
        told = say(*node, HERE / "k6.mjs", ROOT / "examples" / "load" / "k6.js", url, "10", cwd=folder, env=environment)
        print(f"ok: the script for k6, in Node.js: {told.strip()}", flush=True)

        live = subprocess.Popen([python, HERE / "live.py", url, guarded, model, binary], env=environment, cwd=folder)
        ends.callback(end, live)
        if live.wait() != 0:
            sys.exit(1)


def loose(code):
    """A block that is the inside of an `async` function, as pages show them."""
    return bool(re.search(r"^(async |await |\w+ = await )", code, re.MULTILINE)) and "asyncio.run(" not in code


def indented(code):
    return re.sub(r"^(?=.)", "    ", code, flags=re.MULTILINE)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: run.py RIVULET_BINARY FOLDER-OF-WHEELS")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # What was started is ended.
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"  # Beside the sources it would look like a change of them.
    main(os.path.realpath(sys.argv[1]), os.path.realpath(sys.argv[2]))
