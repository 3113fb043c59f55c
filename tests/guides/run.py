"""Goes through the guides as a reader does: saves their files, types their commands, compares what they show.

    run.py PROGRAMS TOOLS [PAGE...]

PROGRAMS is the folder of the built programs, TOOLS what scripts/test-guides.sh has installed. The pages run
against a stack as `make up` starts it, on addresses of its own. Where a program says which page a person has to
open, a person opens it. The last line counts the blocks.
"""

import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pages

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
PERSON = REPOSITORY / "tests/clients/person.py"
# In this order; the first begins with `make up`.
PAGES = [
    "docs/guide/README.md",
    "docs/oauth.md",
    "docs/guide/files.md",
    "docs/guide/recovery.md",
    "docs/guide/python.md",
    "docs/guide/typescript.md",
    "docs/guide/rust.md",
    "docs/troubleshooting.md",
    "docs/migration.md",
]
# Seconds for one block. What takes longest is rustc; the dependencies of the page's crate are built before.
PATIENCE = 300
AUTHORIZATION = re.compile(r"https?://\S+/authorize\?\S+")


def main():
    programs, tools, *names = sys.argv[1:]
    run = Run(Path(programs), Path(tools))
    try:
        for page in names or PAGES:
            run.page(page)
    finally:
        run.end()
    print(f"\n{run.passed} passed, {run.failed} failed")
    return 0 if run.failed == 0 and run.passed > 0 else 1


class Run:
    """A stack on addresses of its own, and what the pages did against it."""

    def __init__(self, programs, tools):
        self.tools, self.passed, self.failed = tools, 0, 0
        self.launcher = programs / "ib-stack"
        self.scratch = Path(tempfile.mkdtemp(prefix="ib-gateway-guides-"))
        names = ["GATEWAY", "ENVOY_ADMIN", "ENVOY_STATS", "SERVICE_PUBLIC", "SERVICE_INTERNAL"]
        places = dict(zip([*names, "SIMULATOR_CONTROL"], free_addresses(len(names) + 1), strict=True))
        places["SIMULATOR"] = simulator_address()
        # Nothing goes through a proxy of this machine: everything is on loopback.
        plain = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
        self.environment = plain | places | {
            "IB_GATEWAY": f"http://{places['GATEWAY']}",
            "RUN_DIRECTORY": str(self.scratch / "run"),
            "PATH": f"{tools / 'venv/bin'}:{plain['PATH']}",
            "VIRTUAL_ENV": str(tools / "venv"),
        }

    def page(self, page):
        """Types a page's blocks into one shell, in order. What follows a failure is not run."""
        print(f"\n{page}", flush=True)
        try:
            blocks = pages.blocks(REPOSITORY / page)
        except pages.PageError as error:
            self.report(False, page, str(error))
            return
        if not any(block.text.startswith("make up") for block in blocks):
            self.launch("up")
        folder, environment = REPOSITORY, self.environment
        if any(block.file for block in blocks):
            folder = self.folder(page)
            # One for all runs, so that a page's crate is built once; not the repository's own.
            built = environment.get("CARGO_TARGET_DIR", REPOSITORY / "target")
            # Offline, so that nothing but what rust/Cargo.lock names can be taken.
            environment = environment | {
                "CARGO_TARGET_DIR": f"{built}/clients", "CARGO_NET_OFFLINE": "true",
            }
        shell = Shell(folder, environment)
        try:
            for block in blocks:
                where = f"{page}:{block.line}"
                if block.file:
                    file = folder / block.file
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_text(block.text, encoding="utf-8")
                    print(f"  {where} {block.file} is saved", flush=True)
                elif not self.typed(shell, block, where):
                    return
        finally:
            shell.end()

    def typed(self, shell, block, where):
        status, printed = shell.type(block.text)
        if status != 0:
            self.report(False, where, f"status {status}\n{printed}")
        elif missing := [shown for shown in block.shown if not pages.agrees(shown, printed)]:
            self.report(False, where, f"shown:\n{missing[0]}\nprinted:\n{printed}")
        else:
            self.report(True, f"{where} runs{' and answers as shown' if block.shown else ''}")
        return status == 0

    def folder(self, page):
        """A folder of the reader's own, outside the repository, with what the page has them install."""
        folder = self.scratch / Path(page).stem
        folder.mkdir()
        for name in ["node_modules", "package.json", "package-lock.json"]:
            (folder / name).symlink_to(self.tools / "node" / name)
        shutil.copy(HERE / "rust/Cargo.lock", folder)
        return folder

    def report(self, ok, what, detail=""):
        print(f"  {'ok' if ok else 'not ok'} - {what}", flush=True)
        if not ok:
            print("    " + detail.replace("\n", "\n    "), flush=True)
        self.passed, self.failed = self.passed + ok, self.failed + (not ok)

    def launch(self, command):
        subprocess.run(
            [self.launcher, command], env=self.environment, cwd=REPOSITORY, check=True,
            stdout=subprocess.DEVNULL,
        )

    def end(self):
        self.launch("down")
        shutil.rmtree(self.scratch)


class Shell:
    """A bash into which blocks are typed. A command that fails ends it."""

    def __init__(self, folder, environment):
        self.environment, self.persons = environment, []
        self.process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"], cwd=folder, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        self.process.stdin.write("set -euo pipefail\n")

    def type(self, text):
        """Runs a block, and gives its status with what it printed."""
        end = f"end of block {random.getrandbits(64):x}"
        with tempfile.NamedTemporaryFile("w", suffix=".sh", delete=False) as file:
            file.write(text)
        # Input that is not the terminal's, or a program could read the next block.
        self.process.stdin.write(f"source {file.name} </dev/null; echo '{end}'\n")
        self.process.stdin.flush()
        watch = threading.Timer(PATIENCE, self.process.kill)
        watch.start()
        printed, done = [], False
        for line in self.process.stdout:
            if line.rstrip("\n").endswith(end):
                printed.append(line.rstrip("\n").removesuffix(end))
                done = True
                break
            printed.append(line)
            if found := AUTHORIZATION.search(line):
                self.person(found[0])
        watch.cancel()
        os.unlink(file.name)
        return 0 if done else self.process.wait() or 1, "".join(printed)

    def person(self, url):
        """Somebody opens the page that the program has named, and logs in."""
        command = [sys.executable, PERSON, "--follow", url]
        self.persons.append(subprocess.Popen(command, env=self.environment, stdout=subprocess.DEVNULL))

    def end(self):
        for process in [self.process, *self.persons]:
            process.kill()
            process.wait()


def free_addresses(count):
    """Loopback addresses whose ports are free, below those that the system hands out by itself."""
    sockets = []
    deadline = time.monotonic() + 10
    while len(sockets) < count and time.monotonic() < deadline:
        candidate = socket.socket()
        try:
            candidate.bind(("127.0.0.1", random.randrange(12_000, 19_000)))
        except OSError:
            candidate.close()
        else:
            sockets.append(candidate)
    addresses = [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
    for each in sockets:
        each.close()
    if len(addresses) < count:
        sys.exit("there are no free ports between 12000 and 19000")
    return addresses


def simulator_address():
    """A loopback address that no other stack uses: `make up` has 127.0.0.2, tests have 127.77.0.0/16."""
    host = f"127.78.{random.randrange(256)}.{random.randrange(1, 255)}"
    with socket.socket() as candidate:
        try:
            candidate.bind((host, 443))
        except PermissionError:
            # As `make up` does where only root may bind it.
            return f"{host}:8443"
    return f"{host}:443"


if __name__ == "__main__":
    sys.exit(main())
