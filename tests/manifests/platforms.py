"""A composed gateway, running between stand-ins for the OAuth service and IntelligenceBank."""

import collections
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


# A gateway's ports, and the stand-ins on both sides of it.
Running = collections.namedtuple("Running", "port admin service upstream")


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
            self.running = self.run_with(change, self.enterContext)
            return self.running.port
        if not type(self).shared:
            type(self).shared = self.run_with(lambda listener: None, self.enterClassContext)
        self.running = self.shared
        self.running.service.requests.clear()
        self.running.upstream.requests.clear()
        return self.running.port

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
        clusters = [self.led(cluster, service_server, upstream_server) for cluster in clusters]
        configuration = rooted(envoy.bootstrap(listener, clusters, runtime), folder)
        port, admin = enter(envoy.running(configuration, folder, self.environment))
        return Running(port, admin, service_server, upstream_server)

    def led(self, cluster, service_server, upstream_server):
        """The cluster, led to a stand-in."""
        name = cluster["name"]
        if name in self.upstream:
            return static_cluster(name, upstream_server.port)
        if name in self.public:
            return static_cluster(name, service_server.port)
        if name in self.callout:
            return cluster | {
                key: value
                for key, value in static_cluster(name, service_server.port).items()
                if key in ("type", "load_assignment")
            }
        return cluster

    def wait_for_a_callout(self):
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if callouts := [
                entry
                for entry in self.running.service.requests
                if entry[1].startswith(("/introspect", "/revocations"))
            ]:
                return callouts
            time.sleep(0.05)
        raise AssertionError("the gateway asked the service nothing")

    def assert_nothing_went_up(self):
        self.assertEqual(self.running.upstream.requests, [])
