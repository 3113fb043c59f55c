"""Every object against its schema, the plugin's configuration wherever it stands, Envoy's judgement of what
comes of the patches. Each kind of check is tried on something broken as well."""

import copy
import json
import pathlib
import re
import tempfile
import unittest

import envoy
import envoy_gateway
import istio
import schemas
import yaml
from project import ENVOY_GATEWAY, ISTIO, helm_template, kustomize, named

DIGEST = "sha256:" + "a" * 64
FOLDERS = {
    "istio/base": ISTIO / "base",
    "istio/wasmplugin": ISTIO / "wasmplugin",
    "istio/credential-from-environment": ISTIO / "credential-from-environment",
    "envoy-gateway": ENVOY_GATEWAY,
}


def configurations(objects):
    """The plugin's configuration wherever the objects hold it."""
    policies = [o for o in objects if o["kind"] == "EnvoyExtensionPolicy"]
    return istio.configurations(objects) + [
        wasm["config"] for policy in policies for wasm in policy["spec"]["wasm"]
    ]


class Objects(unittest.TestCase):
    def test_every_custom_resource_fits_its_schema(self):
        schemas.need_custom()
        self.every_object_fits(schemas.is_custom)

    def test_every_object_of_kubernetes_own_kinds_fits_its_schema(self):
        self.every_object_fits(lambda entry: not schemas.is_custom(entry))

    def every_object_fits(self, wanted):
        for name, folder in FOLDERS.items():
            chosen = [entry for entry in kustomize(folder) if wanted(entry)]
            self.assertTrue(chosen)
            for entry in chosen:
                with self.subTest(f"{name}: {entry['kind']}/{entry['metadata']['name']}"):
                    self.assertEqual(schemas.errors_of(entry), [])

    def test_a_wrong_field_is_found_in_each_custom_kind(self):
        schemas.need_custom()
        kinds = {}
        for folder in FOLDERS.values():
            kinds |= {entry["kind"]: entry for entry in kustomize(folder) if schemas.is_custom(entry)}
        self.assertGreater(len(kinds), 12)
        for kind, entry in kinds.items():
            with self.subTest(kind):
                entry = copy.deepcopy(entry)
                entry["spec"]["noSuchField"] = True
                self.assertNotEqual(schemas.errors_of(entry), [])

    def test_a_wrong_field_is_found_in_each_own_kind(self):
        for folder in FOLDERS.values():
            for entry in (entry for entry in kustomize(folder) if not schemas.is_custom(entry)):
                with self.subTest(entry["kind"]):
                    entry = copy.deepcopy(entry)
                    entry.setdefault("spec", {})["noSuchField"] = True
                    self.assertNotEqual(schemas.errors_of(entry), [])

    def test_everything_but_the_class_is_in_the_namespace_that_it_is_written_for(self):
        for name, folder in FOLDERS.items():
            expected = "ib-gateway" if name == "envoy-gateway" else "istio-ingress"
            for entry in kustomize(folder):
                namespace = None if entry["kind"] == "GatewayClass" else expected
                self.assertEqual(entry["metadata"].get("namespace"), namespace, entry["kind"])

    def test_references_between_the_objects_lead_somewhere(self):
        objects = kustomize(ENVOY_GATEWAY)
        routes = {entry["metadata"]["name"] for entry in objects if entry["kind"] == "HTTPRoute"}
        for entry in objects:
            for target in entry.get("spec", {}).get("targetRefs", []):
                if target["kind"] == "HTTPRoute":
                    self.assertIn(target["name"], routes)
                else:
                    named(objects, target["kind"], target["name"])


class Plugin(unittest.TestCase):
    def test_the_configuration_fits_the_plugins_schema_wherever_it_stands(self):
        for name, folder in FOLDERS.items():
            found = configurations(kustomize(folder))
            self.assertEqual(len(found), 1, name)
            with self.subTest(name):
                self.assertEqual(schemas.plugin_errors(found[0]), [])

    def test_a_wrong_field_in_the_configuration_is_found(self):
        for folder in FOLDERS.values():
            [configuration] = configurations(kustomize(folder))
            for broken in (
                configuration | {"no_such_field": 1},
                configuration | {"prefixes": []},
                {key: value for key, value in configuration.items() if key != "resource"},
            ):
                self.assertNotEqual(schemas.plugin_errors(broken), [])

    def test_the_module_is_pinned_by_its_digest(self):
        for name, folder in FOLDERS.items():
            text = yaml.safe_dump_all(kustomize(folder), width=1000)
            images = re.findall(r"(?:uri|url): (\S*plugin\S*)", text)
            self.assertEqual(len(images), 1, name)
            self.assertRegex(images[0], r"@sha256:[0-9a-f]{64}$")

    def test_one_change_of_the_values_reaches_every_place(self):
        for name, folder in FOLDERS.items():
            base = folder / "../base" if name.startswith("istio") else folder
            with tempfile.TemporaryDirectory() as copied:
                for source in base.resolve().parent.rglob("*.yaml"):
                    target = pathlib.Path(copied) / source.relative_to(base.resolve().parent)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    text = source.read_text()
                    if source.name == "values.yaml":
                        text = text.replace("gateway.example.com", "gw.example.net").replace(
                            "0" * 64, "b" * 64
                        )
                    target.write_text(text)
                text = yaml.safe_dump_all(
                    kustomize(pathlib.Path(copied) / folder.relative_to(folder.parent)), width=10000
                )
            self.assertNotIn("gateway.example.com", text, name)
            self.assertNotIn("0" * 64, text, name)
            self.assertIn("gw.example.net", text)
            self.assertIn("b" * 64, text)


class Locks(unittest.TestCase):
    def test_the_filters_stand_in_their_order(self):
        for folder in ("base", "credential-from-environment"):
            listener, _, _ = istio.compose(kustomize(ISTIO / folder))
            self.assertEqual(
                [entry["name"] for entry in istio.filters_of(listener)][1:],
                [
                    "envoy.filters.http.cors",
                    "address_limit",
                    "ib_gateway",
                    "gate",
                    "client_limit",
                    "user_limit",
                    "envoy.filters.http.dynamic_forward_proxy",
                    "private_address_guard",
                    "envoy.filters.http.router",
                ],
            )
        listener, _, _ = istio.compose(kustomize(ISTIO / "wasmplugin"))
        names = [entry["name"] for entry in istio.filters_of(listener)]
        self.assertEqual(names[:2], ["envoy.filters.http.cors", "istio-ingress.ib-gateway"])
        self.assertLess(names.index("istio-ingress.ib-gateway"), names.index("gate"))
        listener, _, _ = envoy_gateway.compose(kustomize(ENVOY_GATEWAY))
        self.assertEqual(
            [entry["name"].split("/")[0] for entry in istio.filters_of(listener)],
            [
                "envoy.filters.http.cors",
                "address_limit",
                "envoy.filters.http.wasm",
                "gate",
                "client_limit",
                "user_limit",
                "envoy.filters.http.router",
            ],
        )

    def test_only_the_intended_routes_are_open_on_istio(self):
        listener, _, _ = istio.compose(kustomize(ISTIO / "base"))
        routes = [route for host in istio.hosts_of(listener) for route in host["routes"]]
        closed = {route["name"] for route in routes if "metadata" not in route}
        self.assertEqual(closed, {"proxy", "ib-gateway-upstream"})

    def test_no_secret_stands_in_a_manifest(self):
        for folder in FOLDERS.values():
            self.assertEqual([entry for entry in kustomize(folder) if entry["kind"] == "Secret"], [])


class EnvoysJudgement(unittest.TestCase):
    """Envoy, in its validate mode, on the composed configurations with their real clusters. (Without the module,
    which the tests of the behaviour load.)"""

    def istio(self, folder):
        listener, clusters, extensions = istio.compose(kustomize(ISTIO / folder))
        istio.resolve(listener, extensions)
        return listener, clusters, {}

    def errors(self, listener, clusters, runtime, sds=True):
        filters = istio.filters_of(listener)
        filters[:] = [entry for entry in filters if entry["typed_config"]["@type"] != envoy.PLUGIN_TYPE]
        with tempfile.TemporaryDirectory() as folder:
            text = json.dumps(envoy.bootstrap(listener, clusters, runtime)).replace("/etc/ib-gateway", folder)
            if sds:
                (pathlib.Path(folder) / "sds").mkdir()
                (pathlib.Path(folder) / "sds/gateway-credential.yaml").write_text("resources: []\n")
            return envoy.errors_of(json.loads(text), folder)

    def test_envoy_takes_what_istio_would_send(self):
        for folder in ("base", "wasmplugin", "credential-from-environment"):
            with self.subTest(folder):
                self.assertEqual(self.errors(*self.istio(folder)), "")

    def test_envoy_takes_what_envoy_gateway_would_send(self):
        self.assertEqual(self.errors(*envoy_gateway.compose(kustomize(ENVOY_GATEWAY))), "")

    def test_envoy_refuses_a_misspelt_field_in_a_filter_and_in_a_cluster(self):
        listener, clusters, runtime = self.istio("base")
        gate = istio.one(istio.filters_of(listener), "gate")
        gate["typed_config"]["rules"]["policies"]["approved_by_the_filter"]["principals"] = [
            {"filter_stat": {}}
        ]
        self.assertIn("filter_stat", self.errors(listener, clusters, runtime))
        listener, clusters, runtime = self.istio("base")
        istio.one(clusters, "intelligencebank")["transport_socket"]["typed_config"]["commn_tls_context"] = {}
        self.assertIn("commn_tls_context", self.errors(listener, clusters, runtime))

    def test_envoy_refuses_a_forward_proxy_that_does_not_check_names(self):
        listener, clusters, runtime = self.istio("base")
        options = istio.one(clusters, "intelligencebank")[istio.WHOLE][
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
        ]
        options["upstream_http_protocol_options"]["auto_san_validation"] = False
        self.assertIn("auto_san_validation", self.errors(listener, clusters, runtime))


class ChartsPlugin(unittest.TestCase):
    """What the chart gives a gateway is what the folders give it."""

    def test_for_istio(self):
        objects = helm_template(
            "--set",
            "plugin.platform=istio",
            "--set",
            f"plugin.image.digest={DIGEST}",
            "--set",
            "plugin.namespace=istio-ingress",
            "--set",
            "plugin.configuration.token_service.cluster=outbound|8082||ib-gateway-internal.ib-gateway.svc.cluster.local",
        )
        own = named(kustomize(ISTIO / "base"), "EnvoyFilter", "ib-gateway-plugin")
        chart = named(objects, "EnvoyFilter", "ib-gateway-plugin")
        for entry in (own, chart):
            config = entry["spec"]["configPatches"][0]["patch"]["value"]["typed_config"]["config"]
            config["vm_config"]["code"]["remote"]["http_uri"]["uri"] = "its own"
            config["configuration"]["value"] = "its own"
        self.assertEqual(chart["spec"], own["spec"])

    def test_for_envoy_gateway(self):
        objects = helm_template(
            "--set", "plugin.platform=envoyGateway", "--set", f"plugin.image.digest={DIGEST}"
        )
        own = named(kustomize(ENVOY_GATEWAY), "EnvoyExtensionPolicy", "ib-gateway")
        chart = named(objects, "EnvoyExtensionPolicy", "ib-gateway")
        for entry in (own, chart):
            wasm = entry["spec"]["wasm"][0]
            wasm["config"] = wasm["code"]["image"] = "its own"
        self.assertEqual(chart["spec"], own["spec"])
