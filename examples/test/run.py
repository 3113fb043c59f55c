"""Runs the examples as their READMEs say, against the gateway, the service and the simulator on free ports.

    run.py PROGRAMS INSTALLED CLI [NAME...]

PROGRAMS is the folder of the built programs, INSTALLED what scripts/test-guides.sh has installed, CLI the
program of rust-cli. The last line counts the steps.
"""

import fcntl
import json
import os
import re
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
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
    returns_are_checked(stack, program)
    with Ahead() as ahead:
        status, printed = stack.run([*program, "--download", asset], back=ahead.of)
    check(status == 0 and "\nFolder 1\nFolder 2\n" in printed, f"the folders are not listed: {printed}")
    print("  ok - a person logs in past a silent connection of the browser's, and the folders are listed")
    check(asset.stat().st_size == 65_536 and f"65536 bytes in {asset}" in printed, "no asset is written")
    print("  ok - an asset is downloaded whole")
    return 4


def returns_are_checked(stack, login):
    """What a browser may come back with in place of the answer to this login."""
    # The code is a good one: only the state tells that somebody else's page sent the browser here.
    status, printed = stack.run(login, back=lambda address: changed(address, state="forged"))
    refused = status != 0 and "does not belong to this login" in printed
    check(refused, f"an answer with another state is taken: {printed}")
    print("  ok - an answer with another state is refused, with a good code in it")
    without = {"code": None, "error": "access_denied"}
    status, printed = stack.run(login, back=lambda address: changed(address, **without))
    check(status != 0 and "came to nothing: access_denied" in printed, f"an error is taken: {printed}")
    print("  ok - a login that came to nothing is told as that")


class Ahead:
    """What browsers do: a connection is opened before it is needed, and nothing is said on it."""

    def __enter__(self):
        self.silent = socket.socket()
        return self

    def of(self, address):
        parts = urllib.parse.urlsplit(address)
        self.silent.connect((parts.hostname, parts.port))
        return address

    def __exit__(self, *_arguments):
        self.silent.close()


def changed(address, **parameters):
    """The address with other parameters; None takes one away."""
    parts = urllib.parse.urlsplit(address)
    query = dict(urllib.parse.parse_qsl(parts.query)) | parameters
    kept = {name: value for name, value in query.items() if value is not None}
    return parts._replace(query=urllib.parse.urlencode(kept)).geturl()


def rust_cli(stack, cli):
    tokens = stack.scratch / "tokens.json"
    stack.environment["IB_CLI_TOKENS"] = str(tokens)
    status, printed = stack.run([cli, "get", "user"])
    check(status != 0 and "nobody is logged in" in printed, f"it does not ask for a login: {printed}")
    print("  ok - before a login it asks for one")
    returns_are_checked(stack, [cli, "login"])
    with Ahead() as ahead:
        status, printed = stack.run([cli, "login"], back=ahead.of)
    check(status == 0 and "logged in at https://company.intelligencebank.com" in printed, printed)
    check(stat.S_IMODE(tokens.stat().st_mode) == 0o600, "others may read the tokens")
    print("  ok - a person logs in past a silent connection, and the tokens are the owner's alone")
    status, printed = stack.run([cli, "get", "folder.limit(0,2)?verbose"])
    check(status == 0 and '"Folder 1"' in printed, printed)
    print("  ok - the next command reads with the kept tokens")
    kept = json.loads(tokens.read_text())
    tokens.write_text(json.dumps(kept | {"access_token": "one-that-has-ended"}))
    status, printed = stack.run([cli, "get", "user"])
    check(status == 0 and "rows" in printed, printed)
    check(json.loads(tokens.read_text())["refresh_token"] != kept["refresh_token"], "the old one is kept")
    print("  ok - a token that has ended is refreshed, and the new pair is kept")
    one_refresh_for_two(stack, cli, tokens)
    kept = tokens.read_text()
    status, printed = stack.run([cli, "logout"])
    check(status == 0 and not tokens.exists(), printed)
    tokens.write_text(kept)
    status, printed = stack.run([cli, "get", "user"])
    check(status != 0 and "log in again" in printed, f"a grant that is over says: {printed}")
    print("  ok - after a logout the grant is over, and it says so")
    return 8


def one_refresh_for_two(stack, cli, tokens):
    """A command meets an ended token while another one, which is played here, has the lock and refreshes."""
    kept = tokens.read_text()
    tokens.write_text(json.dumps(json.loads(kept) | {"access_token": "one-that-has-ended"}))
    with open(tokens.with_suffix(".lock"), "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        command = stack.begin([cli, "get", "user"])
        waits = until(lambda: waits_for(lock) or command.poll() is not None) and command.poll() is None
        tokens.write_text(kept)
    printed, _ = command.communicate(timeout=PATIENCE)
    check(waits and command.returncode == 0, f"it does not wait for the other command: {printed}")
    check(tokens.read_text() == kept, "it refreshes what has just been refreshed")
    print("  ok - a command takes the tokens for which another one has just refreshed")


def waits_for(lock):
    """Whether somebody waits for the lock on this file."""
    inode = os.fstat(lock.fileno()).st_ino
    return re.search(rf"-> .*:{inode} ", Path("/proc/locks").read_text()) is not None


def until(condition):
    """Waits for a condition, and says whether it came."""
    deadline = time.monotonic() + PATIENCE
    while not (holds := condition()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return holds


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

    def begin(self, command):
        return subprocess.Popen(
            list(map(str, command)), env=self.environment, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )

    def run(self, command, back=lambda address: address):
        """Runs a program; where it names a page to open, somebody opens it. Its status and its words.

        `back` is given the address that the browser is sent to, and gives the one that it goes to.
        """
        process = self.begin(command)
        watch = threading.Timer(PATIENCE, process.kill)
        watch.start()
        printed, browser = [], urllib.request.build_opener(urllib.request.ProxyHandler({}))
        for line in process.stdout:
            printed.append(line)
            if found := AUTHORIZATION.search(line):
                address = subprocess.run(
                    [sys.executable, PERSON, found[0]], env=self.environment, timeout=PATIENCE, check=True,
                    stdout=subprocess.PIPE, text=True,
                ).stdout.strip()
                try:
                    browser.open(back(address), timeout=PATIENCE).close()
                except OSError as error:
                    printed.append(f"the browser gets no answer: {error}\n")
                    process.kill()
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
