"""Starts the simulator and the service on free ports, with a seeded store, and runs schemathesis over the
documents of both ports. The last line counts; 1 when anything failed or nothing ran."""

import base64
import json
import os
import pathlib
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import xml.etree.ElementTree

PLATFORM = "company.intelligencebank.com"
# Whether a request that fits the schema is accepted depends on codes and tokens, which schemathesis
# cannot know; what a document cannot say of a form (RFC 6749: unknown and empty parameters count as
# absent) makes "negative" requests good ones.
EXCLUDED_CHECKS = "positive_data_acceptance,negative_data_rejection"
# For a run of one document, whatever happens.
LONGEST_RUN_SECONDS = 900
START_SECONDS = 30


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until(what, ready, process):
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            sys.exit(f"error: {what} did not start; its log is above")
        time.sleep(0.05)


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def write_settings(folder, ports):
    def secret(name, text):
        path = folder / name
        path.touch(mode=0o600)
        path.write_text(text)
        return str(path)

    def key():
        return base64.b64encode(secrets.token_bytes(32)).decode()

    client_secret, credential, operator = (secrets.token_hex(24) for _ in range(3))
    none = {"per_minute": 0}
    off = {"address": none, "client": none}
    settings = {
        "issuer": f"http://127.0.0.1:{ports['public']}",
        "listen": {side: f"127.0.0.1:{ports[side]}" for side in ("public", "internal")},
        "log": "warn",
        "store": {"engine": "redb", "path": str(folder / "store.redb")},
        "sealing": {"keys": [{"id": "k1", "file": secret("sealing-key", key())}]},
        "token_tags": {"keys": [{"id": "t1", "file": secret("token-tag-key", key())}]},
        "gateway": {"credentials": [{"file": secret("gateway-credential", credential)}]},
        "admin": {"credentials": [{"file": secret("operator-credential", operator)}]},
        # What is looked for is what the handlers answer, not 429.
        "limits": {
            "login": {**off, "platform": none}, "poll": {"address": none}, "token": off, "introspect": off,
            "revoke": off, "register": {"address": none}, "failed_authentication": {"address": none},
        },
        "console": {"enabled": True},
        "registration": {"enabled": True, "redirect_hosts": ["app.example.com"]},
        "intelligencebank": {"extra_ca_file": str(folder / "ca.pem")},
        "development": {
            "allow_private_addresses": True,
            "resolve": {PLATFORM: f"127.0.0.1:{ports['simulator']}"},
        },
        "clients": [
            {
                "id": "mcp-public-client",
                "type": "public",
                "redirect_uris": ["http://127.0.0.1/callback"],
            },
            {
                "id": "backend",
                "type": "confidential",
                "secret_file": secret("client-secret", client_secret),
                "redirect_uris": ["https://backend.example.com/callback"],
            },
        ],
    }
    path = folder / "settings.yaml"
    # JSON is YAML.
    path.write_text(json.dumps(settings))
    return str(path), client_secret, credential, operator


def write_schemathesis_config(folder, name, auth, parameters):
    lines = []
    for scheme, fields in auth.items():
        lines.append(f"[auth.openapi.{scheme}]")
        lines += [f"{field} = {json.dumps(value)}" for field, value in fields.items()]
    lines.append("[parameters]")
    lines += [f"{json.dumps(parameter)} = {json.dumps(value)}" for parameter, value in parameters.items()]
    path = folder / f"{name}.toml"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def run_schemathesis(program, folder, name, config, base, examples, more=()):
    """Passed and failed operations."""
    print(f"==> schemathesis: {name}", file=sys.stderr, flush=True)
    report = folder / f"{name}.xml"
    command = [
        program, "--config-file", config, "run", f"{base}/openapi.json", "--url", base,
        "--checks", "all", "--exclude-checks", EXCLUDED_CHECKS,
        "--max-examples", examples, "--seed", "1", "--workers", "1", "--continue-on-failure",
        "--request-timeout", "40", "--phases", "examples,coverage,fuzzing", "--warnings", "off",
        "--report", "junit", "--report-junit-path", str(report), "--no-color", *more,
    ]  # fmt: skip
    try:
        status = subprocess.run(
            command, stdout=sys.stderr, timeout=LONGEST_RUN_SECONDS, cwd=folder, check=False
        ).returncode
    except subprocess.TimeoutExpired:
        print(f"error: {name}: no end after {LONGEST_RUN_SECONDS} s", file=sys.stderr)
        return 0, 1
    if not report.exists():
        return 0, 1
    cases = list(xml.etree.ElementTree.parse(report).getroot().iter("testcase"))
    failed = sum(1 for case in cases if case.find("failure") is not None or case.find("error") is not None)
    # A run that broke off may have no failed operation.
    return len(cases) - failed, max(failed, 0 if status == 0 else 1)


def main(schemathesis, programs, examples):
    programs = pathlib.Path(programs).resolve()
    started = []
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="ib-openapi-") as name:
        folder = pathlib.Path(name)
        ports = {side: free_port() for side in ("public", "internal", "simulator", "control")}
        try:
            simulator = subprocess.Popen([
                programs / "ib-simulator", "--listen", f"127.0.0.1:{ports['simulator']}",
                "--control", f"127.0.0.1:{ports['control']}", "--ca-out", folder / "ca.pem", "--log", "warn",
            ])  # fmt: skip
            started.append(simulator)
            control = f"http://127.0.0.1:{ports['control']}/settings"
            wait_until("the simulator", lambda: answers(control), simulator)
            settings, client_secret, credential, operator = write_settings(folder, ports)
            tokens = folder / "tokens"
            subprocess.run(
                [programs / "ib-oauth", "admin", "seed", "--config", settings, "--grants", "10", "--output", tokens],
                check=True, stdout=sys.stderr, env={**os.environ, "RUST_BACKTRACE": "0"},
            )  # fmt: skip
            service = subprocess.Popen([programs / "ib-oauth", "serve", "--config", settings])
            started.append(service)
            public, internal = (f"http://127.0.0.1:{ports[side]}" for side in ("public", "internal"))
            wait_until("the service", lambda: answers(f"{internal}/readyz"), service)

            # What bears a token may end it (/logout), so the good one is another.
            borne, token = tokens.read_text().split()[:2]
            client = {
                "client_secret_basic": {"username": "backend", "password": client_secret},
                "access_token": {"bearer": borne},
            }
            gateway = {
                "gateway_credential": {"bearer": credential},
                "operator_credential": {"bearer": operator},
            }
            # A good token among the generated ones would hide the rest; the seeded one has its own run.
            runs = [
                ("public", public, client, {}, ()),
                ("authorize-as-json", public, client, {}, ("-H", "Accept: application/json", "--include-path", "/authorize")),
                ("introspection-of-a-good-token", public, client, {"body.token": token}, ("--include-path", "/introspect")),
                ("internal", internal, gateway, {"query.wait": 0}, ()),
                ("internal-with-a-good-token", internal, gateway, {"body.token": token}, ("--include-method", "POST", "--exclude-path-regex", "^/admin")),
            ]  # fmt: skip
            for name, base, auth, parameters, more in runs:
                config = write_schemathesis_config(folder, name, auth, parameters)
                good, bad = run_schemathesis(schemathesis, folder, name, config, base, examples, more)
                passed, failed = passed + good, failed + bad
            if service.poll() is not None:
                print("error: the service has ended", file=sys.stderr)
                failed += 1
        finally:
            for process in reversed(started):
                process.terminate()
            for process in started:
                try:
                    process.wait(timeout=15)
                except subprocess.TimeoutExpired:
                    process.kill()
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
