"""Does the gateway do what it says in /openapi.json? Schemathesis asks it everything that the schemas allow, and what
they do not, and looks whether every answer is as described.

    run.py RIVULET_BINARY [more arguments for schemathesis]

RIVULET_KNOWLEDGE_MODEL_DIR names the embedding model. The gateway takes a free port, keeps its data in a temporary
folder, and is gone when this is over. Without more arguments the same is asked every time.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
READY_WITHIN_S = 90
STOPPED_WITHIN_S = 40
# What does not end, is no HTTP any more, or ends the gateway or the token that asks.
NOT_ASKED = r"/(ws|events|admin/drain|auth/revoke|admin/revocations)(/|$)"
# Every time the same, and enough for every field to be wrong in every way once.
REPEATABLE = ["--generation-deterministic", "--max-examples", "15"]


class Broken(Exception):
    pass


def address(log, gateway):
    """Where the gateway listens, once it has read the sample knowledge."""
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline:
        if gateway.poll() is not None:
            raise Broken("the gateway ended before it was ready")
        found = re.search(r"listening on (http://127\.0\.0\.1:\d+)", log.read_text())
        try:
            if found and b'"knowledge":{"state":"ready"' in direct.open(f"{found[1]}/readyz", timeout=5).read():
                return found[1]
        except urllib.error.URLError:
            pass
        time.sleep(0.2)
    raise Broken(f"the gateway was not ready within {READY_WITHIN_S} s")


def main(binary, more):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "rivulet.toml").touch()
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder), "NO_COLOR": "1",
            "RIVULET_KNOWLEDGE_MODEL_DIR": os.environ["RIVULET_KNOWLEDGE_MODEL_DIR"],
            "RIVULET_KNOWLEDGE_PRELOAD": str(ROOT / "sample-knowledge"),
            "JWT_SECRET_KEY": os.urandom(32).hex(), "REQUIRE_AUTHENTICATION": "true",
        }
        here = ["--config", str(folder / "rivulet.toml"), "--data-dir", str(folder / "data")]
        log = folder / "gateway.log"
        with log.open("wb") as sink:
            serve = [binary, "serve", *here, "--bind", "127.0.0.1:0"]
            gateway = subprocess.Popen(serve, env=environment, stdout=sink, stderr=sink)
        try:
            url = address(log, gateway)
            token = subprocess.run(
                [binary, "token", *here, "--user", "ann", "--scope", "admin:tenants", "--scope", "unlimited"],
                env=environment, check=True, capture_output=True, text=True,
            ).stdout.strip()
            asked = subprocess.run(
                [pathlib.Path(sys.executable).with_name("schemathesis"),
                 "--config-file", pathlib.Path(__file__).with_name("schemathesis.toml"),
                 "run", f"{url}/openapi.json", "--header", f"Authorization: Bearer {token}",
                 "--exclude-path-regex", NOT_ASKED, "--continue-on-failure", "--request-timeout", "60",
                 "--warnings", "off", *(more or REPEATABLE)],
                cwd=folder, env=environment, check=False,
            )
            if gateway.poll() is not None:
                raise Broken("the gateway did not survive")
            if asked.returncode != 0:
                raise Broken("not every answer is as described")
        except Broken as broken:
            sys.stderr.write(f"openapi: {broken}\n{log.read_text()[-20000:]}")
            return 1
        finally:
            gateway.terminate()
            try:
                gateway.wait(STOPPED_WITHIN_S)
            except subprocess.TimeoutExpired:
                gateway.kill()
                gateway.wait()
        return 0


# The gateway is on this machine, whatever proxy the environment names.
direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))

if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main(str(pathlib.Path(sys.argv[1]).resolve()), sys.argv[2:]))
