"""A composed gateway, running between stand-ins for the OAuth service and IntelligenceBank."""

import pathlib
import tempfile
import time
import unittest

import envoy
from project import BINARIES, need
from stand_in import CREDENTIAL, intelligencebank, service, serving, static_cluster


def module():
    """The plugin, where it has been built."""
    file = BINARIES / "plugin.wasm"
    return need(file if file.exists() else None, "plugin.wasm is not built (make plugin)")


def rooted(value, folder):
    """The same with /etc/ib-gateway moved into a folder."""
    if isinstance(value, dict):
        return {key: rooted(entry, folder) for key, entry in value.items()}
    if isinstance(value, list):
        return [rooted(entry, folder) for entry in value]
    return value.replace("/etc/ib-gateway", folder) if isinstance(value, str) else value


class Platform(unittest.TestCase):
    """A platform's gateway, between two stand-ins. Its class says what differs."""

    objects = None
    # To clusters by the part of their names that tells them.
    callout = upstream = public = ()
    # Of Envoy's process.
    environment = {}
    # What somebody gets who comes with an upstream's name.
    misdirected = None

    # The undamaged gateway, which the tests of a class share.
    shared = None

    @classmethod
    def setUpClass(cls):
        if cls is Platform:
            raise unittest.SkipTest("abstract")

    def listener_and_clusters(self):
        raise NotImplementedError

    def start(self, change=None):
        """Gives the port of a gateway between stand-ins that were asked nothing yet; `change` may damage its
        listener."""
        if change:
            port, self.service, self.upstream_server = self.run_with(change, self.enterContext)
            return port
        if not type(self).shared:
            type(self).shared = self.run_with(lambda listener: None, self.enterClassContext)
        port, self.service, self.upstream_server = self.shared
        self.service.requests.clear()
        self.upstream_server.requests.clear()
        return port

    def run_with(self, change, enter):
        service_server, upstream_server = service(), intelligencebank()
        folder = enter(tempfile.TemporaryDirectory())
        enter(serving(service_server, upstream_server))
        listener, clusters, runtime = self.listener_and_clusters()
        change(listener)
        (pathlib.Path(folder) / "secrets").mkdir()
        (pathlib.Path(folder) / "secrets/gateway-authorization").write_text(CREDENTIAL)
        (pathlib.Path(folder) / "sds").mkdir()
        for sds in (entry for entry in self.objects if entry["metadata"]["name"] == "ib-gateway-sds"):
            [(name, content)] = sds["data"].items()
            (pathlib.Path(folder) / "sds" / name).write_text(content.replace("/etc/ib-gateway", folder))
        self.service, self.upstream_server = service_server, upstream_server
        configuration = rooted(
            envoy.bootstrap(listener, [self.led(cluster) for cluster in clusters], runtime), folder
        )
        return enter(envoy.running(configuration, folder, self.environment)), service_server, upstream_server

    def led(self, cluster):
        """The cluster, led to a stand-in."""
        name = cluster["name"]
        if name in self.upstream:
            return static_cluster(name, self.upstream_server.port)
        if name in self.public:
            return static_cluster(name, self.service.port)
        if name in self.callout:
            return cluster | {
                key: value
                for key, value in static_cluster(name, self.service.port).items()
                if key in ("type", "load_assignment")
            }
        return cluster

    def wait_for_a_callout(self):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if callouts := [
                entry
                for entry in self.service.requests
                if entry[1].startswith(("/introspect", "/revocations"))
            ]:
                return callouts
            time.sleep(0.05)
        raise AssertionError("the gateway asked the service nothing")

    def assert_nothing_went_up(self):
        self.assertEqual(self.upstream_server.requests, [])
