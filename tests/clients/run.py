"""Starts the gateway, the service and the simulator on free ports and runs each client against them.

    run.py PROGRAMS INSTALLED CRATE [NAME...]

PROGRAMS is the folder of the built programs, INSTALLED what scripts/test-clients.sh has installed, CRATE
the program of the oauth2 crate. Each stack ends with this program, however it ends. The last line counts
the steps.
"""

import hashlib
import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Seconds for all steps of a client; they take a few.
PATIENCE = 180


def main():
    programs, installed, crate, *names = sys.argv[1:]
    programs, installed = Path(programs), Path(installed)
    clients = {
        "oauth4webapi": ["node", installed / "oauth4webapi/client.mjs"],
        "mcp-sdk": ["node", installed / "mcp-sdk/client.mjs"],
        "mcp-conformance": ["node", installed / "mcp-conformance/client.mjs"],
        "authlib": [installed / "authlib/venv/bin/python", HERE / "authlib/client.py"],
        "oauth2-crate": [crate],
    }
    if unknown := set(names) - set(clients):
        sys.exit(f"there is no client {', '.join(unknown)}; there are {', '.join(clients)}")
    passed = failed = 0
    for name, command in clients.items():
        if names and name not in names:
            continue
        # The script has said why.
        if name == "mcp-conformance" and not Path(command[-1]).exists():
            continue
        print(f"\n{name}", flush=True)
        # Each has a stack of its own: what the simulator is told is told to all who use it.
        with Stack(programs) as environment:
            done = subprocess.Popen(
                list(map(str, command)), env=environment, stdout=subprocess.PIPE, text=True
            )
            ok = not_ok = 0
            try:
                for line in done.stdout:
                    print("  " + line, end="", flush=True)
                    ok += line.startswith("ok - ")
                    not_ok += line.startswith("not ok - ")
                status = done.wait(PATIENCE)
            finally:
                done.kill()
            # A client that crashed, or did nothing at all, has failed, too.
            if not_ok == 0 and (status != 0 or ok == 0):
                print(f"  {name} ended with status {status} after {ok} steps")
                not_ok = 1
        passed, failed = passed + ok, failed + not_ok
    print(f"\n{passed} passed, {failed} failed")
    return 0 if failed == 0 and passed > 0 else 1


class Stack:
    """A stack on free ports, by the launcher that the end-to-end tests use."""

    def __init__(self, programs):
        self.secret = secrets.token_urlsafe(32)
        self.launcher = subprocess.Popen(
            [programs / "ib-stack", "supervise"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self):
        loopback = ["http://127.0.0.1/callback", "http://localhost/oauth/callback"]
        clients = [
            {
                "id": "mcp-public-client",
                "name": "MCP client",
                "type": "public",
                "redirect_uris": loopback,
                "scopes": ["profile"],
            },
            {
                "id": "test-backend",
                "name": "A backend",
                "type": "confidential",
                "secret_sha256": hashlib.sha256(self.secret.encode()).hexdigest(),
                "redirect_uris": loopback,
                "scopes": ["profile"],
            },
        ]
        # Over TLS, as in production: the strictest of the clients refuse everything else.
        settings = {
            "clients": clients,
            # The specification of MCP wants client id metadata documents, and says so as a warning.
            "client_documents": {
                "enabled": True, "allowed_hosts": ["claude.ai"], "scopes": ["profile"],
            },
        }
        options = {"gateway_tls": True, "service_settings": settings}
        self.launcher.stdin.write(json.dumps({"start": options}) + "\n")
        self.launcher.stdin.flush()
        answer = json.loads(self.launcher.stdout.readline())
        if "started" not in answer:
            self.__exit__()
            sys.exit(f"the stack does not start: {answer}")
        addresses = answer["started"]
        # Nothing goes through a proxy of this machine: everything is on loopback.
        plain = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
        authority = str(Path(addresses["run_directory"]) / "tls" / "ca.crt")
        return plain | {
            "GATEWAY_URL": f"https://{addresses['gateway']}",
            # The CA of the gateway's certificate, as each language's libraries look for it.
            "GATEWAY_CA": authority,
            "NODE_EXTRA_CA_CERTS": authority,
            "REQUESTS_CA_BUNDLE": authority,
            "SSL_CERT_FILE": authority,
            "SIMULATOR_CONTROL": addresses["simulator_control"],
            "BACKEND_SECRET": self.secret,
            "IB_GATEWAY_PERSON": str(HERE / "person.py"),
        }

    def __exit__(self, *_arguments):
        # End of input: the launcher ends everything that it has started.
        self.launcher.stdin.close()
        self.launcher.wait()


if __name__ == "__main__":
    sys.exit(main())
