"""What the platforms' gateways must have in common with envoy/envoy.yaml. A test that fails here after a change of
that file says what the manifests lack."""

import json
import re
import unittest

import envoy_gateway
import istio
import schemas
import yaml
from project import ENVOY_GATEWAY, ISTIO, ROOT, helm_template, kustomize, named

CORS = "envoy.filters.http.cors"
LIMITS = ("address_limit", "client_limit", "user_limit")


def production():
    """The connection manager of the production file."""
    bootstrap = yaml.safe_load((ROOT / "envoy/envoy.yaml").read_text())
    return istio.connection_manager(bootstrap["static_resources"]["listeners"][0])


def production_plugin():
    wasm = istio.one(production()["http_filters"], "ib_gateway")["typed_config"]
    return json.loads(wasm["config"]["configuration"]["value"])


def virtual_host(hosts, domain):
    [found] = [host for host in hosts if domain in host["domains"]]
    return found


def listeners():
    """Each platform's composed listener."""
    yield "istio", istio.compose(kustomize(ISTIO / "base"))[0]
    yield "envoy-gateway", envoy_gateway.compose(kustomize(ENVOY_GATEWAY))[0]


def samples(match):
    """Paths that a route's match means."""
    if "path" in match:
        return [match["path"]]
    if "prefix" in match:
        return [match["prefix"] + "x"]
    prefix = match["path_separated_prefix"]
    return [prefix, prefix + "/x"]


def fits(match, path):
    separated = match.get("path_separated_prefix")
    return (
        match.get("path") == path
        or ("prefix" in match and path.startswith(match["prefix"]))
        or (separated is not None and (path == separated or path.startswith(separated + "/")))
    )


class Routes(unittest.TestCase):
    def setUp(self):
        hosts = production()["route_config"]["virtual_hosts"]
        self.own = istio.one(hosts, "gateway")["routes"]
        self.upstream = istio.one(istio.one(hosts, "upstreams")["routes"], "intelligencebank")

    def test_every_public_path_of_the_service_is_public_here_too_and_with_cors_where_it_has_it(self):
        for platform, listener in listeners():
            routes = virtual_host(istio.hosts_of(listener), "gateway.example.com")["routes"]
            for wanted in (
                route for route in self.own if route.get("route", {}).get("cluster") == "oauth_public"
            ):
                for path in samples(wanted["match"]):
                    with self.subTest(f"{platform}: {path}"):
                        found = next((route for route in routes if fits(route["match"], path)), None)
                        self.assertIsNotNone(found)
                        self.assertIn("open", found["name"])
                        self.assertIn("route", found, "it leads to no cluster")
                        has_cors = CORS in found.get("typed_per_filter_config", {})
                        self.assertEqual(has_cors, CORS in wanted.get("typed_per_filter_config", {}))

    def test_browsers_may_do_the_same_everywhere(self):
        def lists(policy):
            fields = ("allow_methods", "allow_headers", "expose_headers")
            return {field: re.split(r",\s*", policy[field]) for field in fields}

        wanted = self.own[0]["typed_per_filter_config"][CORS]
        for platform, listener in listeners():
            for host in istio.hosts_of(listener):
                for route in host["routes"]:
                    if policy := route.get("typed_per_filter_config", {}).get(CORS):
                        with self.subTest(f"{platform}: {route['name']}"):
                            self.assertEqual(lists(policy), lists(wanted))

    def test_the_same_headers_stay_out_of_requests_and_answers(self):
        late = named(kustomize(ENVOY_GATEWAY), "ClientTrafficPolicy", "ib-gateway")["spec"]["headers"]
        elsewhere = {"istio": set(), "envoy-gateway": set(late["lateResponseHeaders"]["remove"])}
        for platform, listener in listeners():
            for host in istio.hosts_of(listener):
                for route in (route for route in host["routes"] if "headers" in route["match"]):
                    with self.subTest(f"{platform}: {route['name']}"):
                        removed = set(route["response_headers_to_remove"]) | elsewhere[platform]
                        self.assertEqual(set(self.upstream["response_headers_to_remove"]) - removed, set())
                        removed = set(route["request_headers_to_remove"])
                        self.assertEqual(set(self.upstream["request_headers_to_remove"]) - removed, set())
                        self.assertEqual(
                            sorted(route["response_headers_to_add"], key=json.dumps),
                            sorted(self.upstream["response_headers_to_add"], key=json.dumps),
                        )


class Limits(unittest.TestCase):
    def test_they_are_the_same_and_stand_at_the_same_places(self):
        wanted = production()["http_filters"]
        for platform, listener in listeners():
            filters = istio.filters_of(listener)
            for name in LIMITS:
                with self.subTest(f"{platform}: {name}"):
                    self.assertEqual(what_it_limits(filters, name), what_it_limits(wanted, name))
            order = [entry["name"] for entry in filters]
            plugin = next(name for name in order if name == "ib_gateway" or "wasm" in name)
            # So that a flood costs no filter, a page can read its refusal, and nobody counts who was not approved.
            stages = (CORS, "address_limit", plugin, "gate", "client_limit", "user_limit")
            places = [order.index(name) for name in stages]
            self.assertEqual(places, sorted(places), f"{platform}: {order}")
            routes = [route for host in istio.hosts_of(listener) for route in host["routes"]]
            proxied = [route for route in routes if "proxy" in route["name"]]
            self.assertTrue(proxied, f"{platform}: no route of /proxy was looked at")
            for name in ("client_limit", "user_limit"):
                switched = istio.one(filters, name).get("disabled", False)
                for route in proxied:
                    is_on = not switched or name in route.get("typed_per_filter_config", {})
                    self.assertTrue(is_on, f"{platform}: {name} on {route['name']}")

    def test_a_client_is_told_when_to_come_again_everywhere(self):
        for platform, listener in listeners():
            for name in LIMITS:
                with self.subTest(f"{platform}: {name}"):
                    settings = istio.one(istio.filters_of(listener), name)["typed_config"]
                    told = {entry["header"]["key"] for entry in settings["response_headers_to_add"]}
                    self.assertIn("retry-after", told)

    def test_every_answer_has_the_same_headers_for_browsers(self):
        wanted = production()["route_config"]["response_headers_to_add"]
        for platform, listener in listeners():
            with self.subTest(platform):
                found = istio.connection_manager(listener)["route_config"]["response_headers_to_add"]
                self.assertEqual(found, wanted)

    def test_no_answer_has_what_speaks_to_another_proxy(self):
        wanted = production()["route_config"]["response_headers_to_remove"]
        self.assertIn("x-envoy-immediate-health-check-fail", wanted)
        for platform, listener in listeners():
            with self.subTest(platform):
                found = istio.connection_manager(listener)["route_config"]["response_headers_to_remove"]
                self.assertEqual(set(wanted) - set(found), set())


class Instances(unittest.TestCase):
    def test_none_is_left_out_for_what_it_answers_and_each_that_cannot_be_reached_is(self):
        bootstrap = yaml.safe_load((ROOT / "envoy/envoy.yaml").read_text())
        for name in ("token_service", "oauth_public"):
            with self.subTest(name):
                found = istio.one(bootstrap["static_resources"]["clusters"], name)["outlier_detection"]
                self.assertEqual(found["enforcing_consecutive_gateway_failure"], 0)
                self.assertEqual(found["enforcing_consecutive_5xx"], 0)
                self.assertIs(found["split_external_local_origin_errors"], True)
                self.assertEqual(found["consecutive_local_origin_failure"], 2)
        objects = kustomize(ISTIO / "base")
        rules = {}
        for name in ("ib-gateway-internal", "ib-gateway-public"):
            policy = named(objects, "DestinationRule", name)["spec"]["trafficPolicy"]
            rules[f"istio: {name}"] = policy["outlierDetection"]
        policy = named(kustomize(ENVOY_GATEWAY), "BackendTrafficPolicy", "ib-gateway-service")
        passive = policy["spec"]["healthCheck"]["passive"]
        # Envoy Gateway counts these answers as soon as there is a number.
        self.assertNotIn("consecutiveGatewayErrors", passive)
        self.assertEqual(passive["consecutive5XxErrors"], 0)
        for name, rule in rules.items():
            with self.subTest(name):
                # Istio's default for the second is 5.
                self.assertEqual((rule["consecutiveGatewayErrors"], rule["consecutive5xxErrors"]), (0, 0))
        for name, rule in {**rules, "envoy-gateway": passive}.items():
            with self.subTest(name):
                self.assertIs(rule["splitExternalLocalOriginErrors"], True)
                self.assertEqual(rule["consecutiveLocalOriginFailures"], 2)


def what_it_limits(filters, name):
    settings = istio.one(filters, name)["typed_config"]
    fields = ("max_dynamic_descriptors", "rate_limits", "descriptors", "token_bucket")
    always = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    assert settings["filter_enabled"] == always and settings["filter_enforced"] == always, name
    assert settings["always_consume_default_token_bucket"] is False, name
    return {field: settings[field] for field in fields}


class Plugin(unittest.TestCase):
    def test_its_configuration_is_that_of_the_production_file_but_for_what_a_platform_makes_different(self):
        wanted = production_plugin()
        for folder in ("base", "wasmplugin", "credential-from-environment"):
            [found] = istio.configurations(kustomize(ISTIO / folder))
            self.same(found, wanted, folder)
        policy = named(kustomize(ENVOY_GATEWAY), "EnvoyExtensionPolicy", "ib-gateway")
        self.same(policy["spec"]["wasm"][0]["config"], wanted, "envoy-gateway")

    def same(self, found, wanted, name):
        with self.subTest(name):
            found = json.loads(json.dumps(found))
            for field in ("cluster", "authority"):
                found["token_service"][field] = wanted["token_service"][field]
            # The gate of these platforms reads the note.
            self.assertEqual(found.pop("stream_notes"), "all")
            # Their routes ask for nothing, so the plugin does.
            self.assertNotIn("identity_asked_by", found)
            found["identity_asked_by"] = "route"
            self.assertEqual(found["replay"].pop("buffer_limit_bytes"), 65536)
            self.assertEqual(found, wanted)

    def test_the_charts_defaults_mean_the_same(self):
        chart = json.loads(named(helm_template(), "ConfigMap", "ib-gateway-plugin")["data"]["plugin.json"])
        self.assertEqual(chart.pop("stream_notes"), "all")
        self.assertNotIn("identity_asked_by", chart)
        chart["identity_asked_by"] = "route"
        self.assertEqual(filled(chart), filled(production_plugin()))


def filled(configuration):
    """The configuration with the plugin's defaults for what it leaves out."""

    def fill(schema, value):
        for name, field in schema.get("properties", {}).items():
            if name not in value and "default" in field:
                value[name] = field["default"]
            elif isinstance(value.get(name), dict):
                fill(field, value[name])
        return value

    return fill(schemas.PLUGIN, json.loads(json.dumps(configuration)))


class Guard(unittest.TestCase):
    def test_the_same_addresses_are_refused_on_istio(self):
        def policy(filters):
            rules = istio.one(filters, "private_address_guard")["typed_config"]["rules"]
            permissions = rules["policies"]["not_a_public_address"]["permissions"]
            return rules["action"], [entry["matcher"]["typed_config"]["upstream_ip"] for entry in permissions]

        listener, _, _ = istio.compose(kustomize(ISTIO / "base"))
        self.assertEqual(policy(istio.filters_of(listener)), policy(production()["http_filters"]))
