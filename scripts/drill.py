"""The drill of scripts/drill.sh: drill.py IB_OAUTH GRANTS ENGINE..."""

import base64
import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

PROGRAM, GRANTS = Path(sys.argv[1]).resolve(), int(sys.argv[2])
CLIENT = "drill"
# How long anything may take to become ready, in seconds.
PATIENCE = 60
# How many of the tokens are asked for.
SAMPLE = 50
results = {"passed": 0, "failed": 0}


def check(is_so, what):
    results["passed" if is_so else "failed"] += 1
    print(f"    {'ok    ' if is_so else 'FAILED'}  {what}", file=sys.stderr)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until(what, is_so):
    end = time.monotonic() + PATIENCE
    while not is_so():
        if time.monotonic() > end:
            sys.exit(f"drill: waited in vain for {what}")
        time.sleep(0.02)


def listens(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


class Server:
    """A server of a store. `lose` ends it with all that it had, and starts an empty one."""

    def __init__(self, folder):
        self.folder, self.port, self.process = folder, free_port(), None

    def start(self, command):
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until("the store's server", lambda: listens(self.port))

    def end(self):
        if self.process:
            self.process.kill()
            self.process.wait()


class Redb(Server):
    name, backs_up_while_serving, most_grants = "redb", False, None

    def settings(self):
        return {"engine": "redb", "path": str(self.folder / "store.redb")}

    def begin(self):
        pass

    def lose(self):
        (self.folder / "store.redb").unlink()


class Redis(Server):
    name, backs_up_while_serving, most_grants = "redis", True, None

    def settings(self):
        return {"engine": "redis", "address": f"127.0.0.1:{self.port}", "tls": False, "prefix": "drill"}

    def begin(self):
        data = self.folder / "redis"
        data.mkdir()
        self.start([
            os.environ["REDIS_SERVER"], "--bind", "127.0.0.1", "--port", str(self.port), "--save", "",
            "--appendonly", "yes", "--appendfsync", "always", "--dir", str(data),
        ])

    def lose(self):
        self.end()
        shutil.rmtree(self.folder / "redis")
        self.begin()


class DynamoDb(Server):
    name, backs_up_while_serving, most_grants = "dynamodb", True, 15

    def settings(self):
        endpoint = f"http://127.0.0.1:{self.port}"
        return {"engine": "dynamodb", "region": "eu-central-1", "prefix": "drill-", "endpoint": endpoint}

    def begin(self):
        stand_in = Path(__file__).with_name("moto-server.py")
        self.start([os.environ["IB_TEST_MOTO_PYTHON"], str(stand_in), str(self.port)])
        run("create-tables", "--config", self.folder / "oauth.json")

    def lose(self):
        self.end()
        self.begin()


ENGINES = {engine.name: engine for engine in (Redb, Redis, DynamoDb)}


def run(*arguments, succeeds=True):
    """A command of the administration; gives how long it took, in seconds."""
    begun = time.monotonic()
    command = [PROGRAM, "admin", *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if succeeds and done.returncode != 0:
        sys.exit(f"drill: {' '.join(map(str, arguments))}: {done.stderr}")
    return time.monotonic() - begun if succeeds else done.returncode == 0


class Service:
    """The service on a store, while it runs."""

    def __init__(self, folder, store):
        self.folder, self.process = folder, None
        self.public, self.internal = free_port(), free_port()
        self.credential = (folder / "credential").read_text()
        settings = {
            "issuer": "http://127.0.0.1:8080",
            "listen": {"public": f"127.0.0.1:{self.public}", "internal": f"127.0.0.1:{self.internal}"},
            "log": "warn",
            "store": store,
            "sealing": {"keys": [{"id": "k1", "file": str(folder / "sealing-key")}]},
            "token_tags": {"keys": [{"id": "t1", "file": str(folder / "tag-key")}]},
            "gateway": {"credentials": [{"file": str(folder / "credential")}]},
            "clients": [{"id": CLIENT, "type": "public", "redirect_uris": ["http://127.0.0.1/callback"]}],
            "development": {},
        }
        # JSON is YAML.
        (folder / "oauth.json").write_text(json.dumps(settings))
        settings["sealing"]["keys"][0]["file"] = str(folder / "other-key")
        (folder / "other.json").write_text(json.dumps(settings))

    def start(self):
        log = (self.folder / "service.log").open("a")
        command = [PROGRAM, "serve", "--config", self.folder / "oauth.json"]
        self.process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_until("the service", lambda: self.process.poll() is not None or self.is_ready())
        if self.process.poll() is not None:
            sys.exit(f"drill: the service ended: {(self.folder / 'service.log').read_text()}")

    def is_ready(self):
        return listens(self.internal) and self.ask(self.internal, "/readyz")[0] == 200

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def ask(self, port, path, form=None):
        body = urllib.parse.urlencode(form).encode() if form else None
        headers = {"authorization": f"Bearer {self.credential}"} if port == self.internal else {}
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data=body, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as answer:
            return answer.code, answer.read()

    def is_active(self, token):
        status, body = self.ask(self.internal, "/introspect", {"token": token})
        if status != 200:
            sys.exit(f"drill: introspection answered {status}: {body}")
        return json.loads(body)["active"]

    def revoke(self, token):
        return self.ask(self.public, "/revoke", {"client_id": CLIENT, "token": token})[0] == 200

    def refresh(self, token):
        form = {"grant_type": "refresh_token", "client_id": CLIENT, "refresh_token": token}
        status, body = self.ask(self.public, "/token", form)
        return json.loads(body) if status == 200 else None

    def feed(self, after=None):
        query = "" if after is None else f"?after={after}"
        return json.loads(self.ask(self.internal, f"/revocations{query}")[1])


def drill(engine, folder):
    for name in ("sealing-key", "other-key", "tag-key"):
        (folder / name).write_bytes(base64.b64encode(secrets.token_bytes(32)))
    (folder / "credential").write_text(secrets.token_hex(32))
    for file in folder.iterdir():
        file.chmod(0o600)
    store = ENGINES[engine](folder)
    service = Service(folder, store.settings())
    settings, backup = folder / "oauth.json", folder / "backup.jsonl"
    grants = min(GRANTS, store.most_grants or GRANTS)
    try:
        store.begin()
        tokens, refreshes = folder / "tokens", folder / "refreshes"
        run("seed", "--config", settings, "--grants", grants, "--client", CLIENT,
            "--output", tokens, "--refresh-tokens", refreshes)
        tokens, refreshes = tokens.read_text().split(), refreshes.read_text().split()
        service.start()
        ended_before, ended_after, traded = tokens[0], tokens[1], refreshes[2]
        service.revoke(ended_before)

        # The backup, and what happens after it.
        if not store.backs_up_while_serving:
            service.stop()
        times = {"backup": run("backup", "--config", settings, "--output", backup)}
        times["verify"] = run("verify-backup", "--config", settings, "--input", backup)
        if not store.backs_up_while_serving:
            service.start()
        service.revoke(ended_after)
        successor = service.refresh(traded)
        last_heard = service.feed()["as_of"]
        check(successor is not None and not service.is_active(ended_after), "the service changed after the backup")
        check(not run("verify-backup", "--config", folder / "other.json", "--input", backup, succeeds=False),
              "the backup is refused with another sealing key")
        damaged = folder / "damaged.jsonl"
        damaged.write_bytes(backup.read_bytes()[:-200])
        check(not run("verify-backup", "--config", settings, "--input", damaged, succeeds=False),
              "a backup that was cut short is refused")
        check(not any(token in backup.read_text() for token in tokens[:SAMPLE]), "no token is in the backup")

        # The loss. From here on the clock of the outage runs.
        outage = time.monotonic()
        service.stop()
        store.lose()
        times["restore"] = run("restore", "--config", settings, "--input", backup)
        service.start()
        times["outage"] = time.monotonic() - outage

        good = [token for token in tokens[3:] if token][:SAMPLE]
        check(len(good) > 10 and all(map(service.is_active, good)), f"{len(good)} tokens from before are good")
        check(not service.is_active(ended_before), "what was revoked before the backup stays so")
        check(service.is_active(ended_after), "what was revoked after it is good again, as the documents say")
        check(service.revoke(ended_after) and not service.is_active(ended_after), "it can be revoked once more")
        check(not service.is_active(successor["access_token"]), "a token from after the backup is not known")
        check(service.refresh(successor["refresh_token"]) is None, "nor is its refresh token")
        check(service.refresh(refreshes[4]) is not None, "a refresh token from before can be traded")
        check(service.feed(last_heard)["reset"], "a gateway that heard of later revocations forgets everything")
        check(not run("restore", "--config", settings, "--input", backup, succeeds=False),
              "a store that is not empty is not restored onto")
        size = backup.stat().st_size
        told = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in times.items())
        print(f"{engine}: {grants} grants, {size // 1000:,} kB: {told}")
    finally:
        service.stop()
        store.end()


def main():
    for engine in sys.argv[3:]:
        print(f"==> the drill on {engine}", file=sys.stderr)
        with tempfile.TemporaryDirectory(prefix="ib-gateway-drill-") as folder:
            drill(engine, Path(folder))
    print(f"{results['passed']} passed, {results['failed']} failed")
    sys.exit(results["failed"] > 0 or not results["passed"])


main()
