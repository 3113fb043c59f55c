"""A real Envoy: its judgement of a configuration, and a running one to send requests to."""

import contextlib
import http.client
import json
import os
import pathlib
import subprocess
import time

from project import ENVOY, need, run

PLUGIN_TYPE = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"


def bootstrap(listener, clusters, runtime=None):
    """A bootstrap of these resources, with the admin interface on a free port of loopback."""
    return {
        "node": {"id": "manifests", "cluster": "manifests"},
        "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}},
        "layered_runtime": {"layers": [{"name": "static", "static_layer": runtime or {}}]},
        "static_resources": {"listeners": [listener], "clusters": clusters},
    }


def errors_of(configuration, folder):
    """What Envoy says about a configuration that it refuses; nothing where it takes it."""
    file = write(configuration, folder)
    result = run(
        need(ENVOY, "Envoy could not be had"),
        "--mode",
        "validate",
        "-c",
        file,
        "--log-level",
        "error",
        cwd=folder,
    )
    return "" if result.returncode == 0 else result.stdout


def write(configuration, folder):
    file = pathlib.Path(folder) / "envoy.json"
    file.write_text(json.dumps(configuration))
    return file


def with_module(wasm, module):
    """The plugin's filter configuration with the module from a file, as Istio's agent would give it."""
    wasm["config"]["vm_config"]["code"] = {"local": {"filename": str(module)}}
    return wasm


@contextlib.contextmanager
def running(configuration, folder, environment):
    """Runs Envoy until the block ends, and gives the ports of its one listener and of its admin interface."""
    admin = pathlib.Path(folder) / "admin"
    log = pathlib.Path(folder) / "envoy.log"
    command = [
        need(ENVOY, "Envoy could not be had"),
        "-c",
        str(write(configuration, folder)),
        "--use-dynamic-base-id",
        "--concurrency",
        "1",
        "--log-level",
        "warn",
        "--admin-address-path",
        str(admin),
    ]
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=folder, stdout=output, stderr=output, env=os.environ | environment
        )
    try:
        yield wait_for_listener(process, admin, log)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def wait_for_listener(process, admin, log):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, f"Envoy ended: {log.read_text()[-4000:]}"
        with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
            host, port = admin.read_text().rsplit(":", 1)
            if ask(int(port), "GET", "/ready").status == 200:
                listeners = json.loads(ask(int(port), "GET", "/listeners?format=json").body)
                address = listeners["listener_statuses"][0]["local_address"]["socket_address"]
                return address["port_value"], int(port)
        time.sleep(0.1)
    raise AssertionError(f"Envoy was not ready in time: {log.read_text()[-4000:]}")


class Answer:
    """An answer, its body read."""

    def __init__(self, response):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()


def ask(port, method, path, headers=None, seconds=15):
    """One request on a connection of its own. The target goes out as it is written."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        headers = {"Host": "gateway.example.com", **(headers or {})}
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        return Answer(connection.getresponse())
    finally:
        connection.close()
