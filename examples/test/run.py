"""Runs the examples as their READMEs say, against the gateway, the service and the simulator on free ports.

    run.py PROGRAMS INSTALLED CLI [NAME...]

PROGRAMS is the folder of the built programs, INSTALLED what scripts/test-guides.sh has installed, CLI the
program of rust-cli. The last line counts the steps.
"""

import json
import os
import re
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
PERSON = REPOSITORY / "tests/clients/person.py"
# Seconds for one program.
PATIENCE = 120
AUTHORIZATION = re.compile(r"https?://\S+/authorize\?\S+")


def main():
    programs, installed, cli, *names = sys.argv[1:]
    installed = Path(installed)
    examples = {
        "python": lambda stack: python(stack, installed),
        "rust-cli": lambda stack: rust_cli(stack, cli),
        "browser": lambda stack: node(stack, installed / "test/browser.mjs"),
        "mcp-server": lambda stack: node(stack, installed / "test/mcp-server.mjs"),
    }
    if unknown := set(names) - set(examples):
        sys.exit(f"there is no example {', '.join(unknown)}; there are {', '.join(examples)}")
    passed = failed = 0
    for name, run in examples.items():
        if names and name not in names:
            continue
        print(f"\nexamples/{name}", flush=True)
        # Each has a stack of its own: what the simulator is told is told to all who use it.
        with Stack(Path(programs)) as stack:
            try:
                passed += run(stack)
            except Failed as failure:
                print(f"  not ok - {failure}", flush=True)
                failed += 1
    print(f"\n{passed} passed, {failed} failed")
    return 0 if failed == 0 and passed > 0 else 1


class Failed(Exception):
    """What an example did not do."""


def python(stack, installed):
    asset = stack.scratch / "asset.bin"
    program = [installed / "python/bin/python", REPOSITORY / "examples/python/list_folders.py"]
    status, printed = stack.run([*program, "--download", asset])
    check(status == 0 and "\nFolder 1\nFolder 2\n" in printed, f"the folders are not listed: {printed}")
    print("  ok - a person logs in, and the folders are listed")
    check(asset.stat().st_size == 65_536 and f"65536 bytes in {asset}" in printed, "no asset is written")
    print("  ok - an asset is downloaded whole")
    return 2


def rust_cli(stack, cli):
    tokens = stack.scratch / "tokens.json"
    stack.environment["IB_CLI_TOKENS"] = str(tokens)
    status, printed = stack.run([cli, "get", "user"])
    check(status != 0 and "nobody is logged in" in printed, f"it does not ask for a login: {printed}")
    print("  ok - before a login it asks for one")
    status, printed = stack.run([cli, "login"])
    check(status == 0 and "logged in at https://company.intelligencebank.com" in printed, printed)
    check(stat.S_IMODE(tokens.stat().st_mode) == 0o600, "others may read the tokens")
    print("  ok - a person logs in by the loopback redirect, and the tokens are the owner's alone")
    status, printed = stack.run([cli, "get", "folder.limit(0,2)?verbose"])
    check(status == 0 and '"Folder 1"' in printed, printed)
    print("  ok - the next command reads with the kept tokens")
    kept = json.loads(tokens.read_text())
    tokens.write_text(json.dumps(kept | {"access_token": "one-that-has-ended"}))
    status, printed = stack.run([cli, "get", "user"])
    check(status == 0 and "rows" in printed, printed)
    check(json.loads(tokens.read_text())["refresh_token"] != kept["refresh_token"], "the old one is kept")
    print("  ok - a token that has ended is refreshed, and the new pair is kept")
    kept = tokens.read_text()
    status, printed = stack.run([cli, "logout"])
    check(status == 0 and not tokens.exists(), printed)
    tokens.write_text(kept)
    status, printed = stack.run([cli, "get", "user"])
    check(status != 0 and "log in again" in printed, f"a grant that is over says: {printed}")
    print("  ok - after a logout the grant is over, and it says so")
    return 5


def node(stack, program):
    """A program that prints its steps."""
    status, printed = stack.run(["node", program])
    steps = [line for line in printed.splitlines() if line.startswith("ok - ")]
    print("".join(f"  {line}\n" for line in steps), end="", flush=True)
    others = "\n".join(line for line in printed.splitlines() if line not in steps)
    check(status == 0 and steps, f"status {status} after {len(steps)} steps: {others}")
    return len(steps)


def check(holds, otherwise):
    if not holds:
        raise Failed(str(otherwise))


class Stack:
    """A stack on free ports, by the launcher that the end-to-end tests use."""

    def __init__(self, programs):
        self.folder = tempfile.TemporaryDirectory(prefix="ib-gateway-examples-")
        self.scratch = Path(self.folder.name)
        self.launcher = subprocess.Popen(
            [programs / "ib-stack", "supervise"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )

    def __enter__(self):
        port = free_port()
        settings = {"additional_resources": [f"http://127.0.0.1:{port}/mcp"]}
        self.launcher.stdin.write(json.dumps({"start": {"service_settings": settings}}) + "\n")
        self.launcher.stdin.flush()
        answer = json.loads(self.launcher.stdout.readline())
        if "started" not in answer:
            self.__exit__()
            sys.exit(f"the stack does not start: {answer}")
        addresses = answer["started"]
        # Nothing goes through a proxy of this machine: everything is on loopback.
        plain = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
        self.environment = plain | {
            "IB_GATEWAY": f"http://{addresses['gateway']}",
            "SIMULATOR_CONTROL": addresses["simulator_control"],
            "SIMULATOR": addresses["simulator_tls"],
            "CLIENT_SECRET_FILE": str(Path(addresses["run_directory"]) / "secrets/example-mcp-server"),
            "MCP_PORT": str(port),
            "PERSON": str(PERSON),
        }
        return self

    def run(self, command):
        """Runs a program; where it names a page to open, somebody opens it. Its status and its words."""
        process = subprocess.Popen(
            list(map(str, command)), env=self.environment, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        watch = threading.Timer(PATIENCE, process.kill)
        watch.start()
        printed = []
        for line in process.stdout:
            printed.append(line)
            if found := AUTHORIZATION.search(line):
                opened = [sys.executable, PERSON, "--follow", found[0]]
                subprocess.run(
                    opened, env=self.environment, timeout=PATIENCE, check=True, stdout=subprocess.DEVNULL
                )
        watch.cancel()
        return process.wait(), "".join(printed)

    def __exit__(self, *_arguments):
        # End of input: the launcher ends everything that it has started.
        self.launcher.stdin.close()
        self.launcher.wait()
        self.folder.cleanup()


def free_port():
    with socket.socket() as candidate:
        candidate.bind(("127.0.0.1", 0))
        return candidate.getsockname()[1]


if __name__ == "__main__":
    sys.exit(main())
