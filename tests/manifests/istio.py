"""What a gateway of Istio gets from the manifests: istiod's part in the shape that istiod gives it, as far as
the patches touch it, and the EnvoyFilters applied as istiod applies them.

istiod itself is not here, so what this shows is that the patches fit that shape, that Envoy takes the result,
and how it behaves. Whether an Istio release still has that shape, only a cluster shows (docs/istio.md).
"""

import copy
import json

from project import named

HCM = "envoy.filters.network.http_connection_manager"
HCM_TYPE = (
    "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
)
CORS = "type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors"
CORS_POLICY = "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy"
ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
STRING = "type.googleapis.com/google.protobuf.StringValue"
FAULT = "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault"
# A map of typed values: istiod replaces such a value as a whole.
WHOLE = "typed_extension_protocol_options"


def compose(objects):
    """The listener, the clusters and the extensions (ECDS) of the gateway."""
    gateway = named(objects, "Gateway", "ib-gateway")
    hosts = gateway["spec"]["servers"][0]["hosts"]
    services = [o for o in objects if o["kind"] == "VirtualService"]
    listener = base_listener(
        [virtual_host(service) for service in services if set(service["spec"]["hosts"]) <= set(hosts)]
    )
    clusters = [base_cluster(name) for name in destinations(services) | callouts(objects)]
    extensions = {}
    for plugin in (o for o in objects if o["kind"] == "WasmPlugin"):
        name = f"{plugin['metadata']['namespace']}.{plugin['metadata']['name']}"
        extensions[name] = wasm_of(plugin, name)
        # No phase: behind Istio's own authorization, before fault and cors.
        filters_of(listener).insert(0, discovered(name))
    for patch in patches(objects):
        apply(patch, listener, clusters, extensions)
    return listener, clusters, extensions


def patches(objects):
    """The patches of all EnvoyFilters, in the order of their names, as istiod takes those of one age."""
    filters = sorted((o for o in objects if o["kind"] == "EnvoyFilter"), key=lambda o: o["metadata"]["name"])
    return [patch for entry in filters for patch in entry["spec"]["configPatches"]]


def apply(patch, listener, clusters, extensions):
    """One patch. A patch that meets nothing is an error here; istiod would leave it out."""
    kind, match = patch["applyTo"], patch.get("match", {})
    operation, value = patch["patch"]["operation"], copy.deepcopy(patch["patch"].get("value"))
    assert match.get("context") == "GATEWAY", f"{kind}: a context other than GATEWAY"
    if kind == "EXTENSION_CONFIG":
        assert operation == "ADD", "istiod only adds extensions"
        extensions[value["name"]] = value["typed_config"]
    elif kind == "LISTENER":
        assert operation == "MERGE"
        merge(listener, value)
    elif kind == "NETWORK_FILTER":
        assert operation == "MERGE"
        merge(connection_manager(listener), value["typed_config"])
    elif kind == "HTTP_FILTER":
        insert(filters_of(listener), operation, match, value)
    elif kind == "CLUSTER" and operation == "ADD":
        clusters.append(value)
    elif kind == "CLUSTER":
        assert operation == "MERGE"
        merge(one(clusters, match["cluster"]["name"]), value)
    elif kind == "ROUTE_CONFIGURATION":
        assert operation == "MERGE"
        merge(connection_manager(listener)["route_config"], value)
    elif kind == "HTTP_ROUTE":
        assert operation == "MERGE"
        name = match["routeConfiguration"]["vhost"]["route"]["name"]
        routes = [route for host in hosts_of(listener) for route in host["routes"] if route["name"] == name]
        assert routes, f"no route {name}"
        for route in routes:
            merge(route, copy.deepcopy(value))
    else:
        raise AssertionError(f"{kind} {operation} is not known here")


def insert(filters, operation, match, value):
    if operation == "INSERT_FIRST":
        filters.insert(0, value)
        return
    assert operation == "INSERT_BEFORE", operation
    before = match["listener"]["filterChain"]["filter"]["subFilter"]["name"]
    filters.insert(filters.index(one(filters, before)), value)


def merge(target, value):
    """As istiod merges messages: fields merge, lists grow, scalars are overwritten."""
    for key, new in value.items():
        if isinstance(new, dict) and isinstance(target.get(key), dict):
            if key == WHOLE:
                target[key].update(new)
            else:
                merge(target[key], new)
        elif isinstance(new, list) and isinstance(target.get(key), list):
            target[key] += new
        else:
            target[key] = new


def one(entries, name):
    found = [entry for entry in entries if entry["name"] == name]
    assert len(found) == 1, f"{len(found)} of the name {name}"
    return found[0]


def connection_manager(listener):
    return listener["filter_chains"][0]["filters"][0]["typed_config"]


def filters_of(listener):
    return connection_manager(listener)["http_filters"]


def hosts_of(listener):
    return connection_manager(listener)["route_config"]["virtual_hosts"]


def base_listener(virtual_hosts):
    """A gateway's listener, in the clear and on a free port."""
    manager = {
        "@type": HCM_TYPE,
        "stat_prefix": "outbound_0.0.0.0_8443",
        "use_remote_address": True,
        "normalize_path": True,
        "server_name": "istio-envoy",
        "http_filters": [
            {"name": "envoy.filters.http.fault", "typed_config": {"@type": FAULT}},
            {"name": "envoy.filters.http.cors", "typed_config": {"@type": CORS}},
            {"name": "envoy.filters.http.router", "typed_config": {"@type": ROUTER}},
        ],
        "route_config": {"name": "https.443.https.ib-gateway.istio-ingress", "virtual_hosts": virtual_hosts},
    }
    return {
        "name": "0.0.0.0_8443",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "filter_chains": [{"filters": [{"name": HCM, "typed_config": manager}]}],
    }


def base_cluster(name):
    """istiod's cluster of a name; without addresses, since there is no registry here."""
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "10s",
        "circuit_breakers": {"thresholds": [{"max_connections": 4294967295, "track_remaining": True}]},
        WHOLE: {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
    }


def cluster_name(destination):
    return f"outbound|{destination['port']['number']}||{destination['host']}"


def destinations(services):
    rules = [rule for service in services for rule in service["spec"]["http"]]
    return {cluster_name(route["destination"]) for rule in rules for route in rule.get("route", [])}


def callouts(objects):
    """The plugin's cluster, where it is one of Istio's."""
    return {
        name
        for name in (configuration["token_service"]["cluster"] for configuration in configurations(objects))
        if name.startswith("outbound|")
    }


def configurations(objects):
    """Each configuration of the plugin that the manifests hold."""
    found = [o["spec"]["pluginConfig"] for o in objects if o["kind"] == "WasmPlugin"]
    for patch in patches(objects):
        if patch["applyTo"] == "EXTENSION_CONFIG":
            found.append(
                json.loads(patch["patch"]["value"]["typed_config"]["config"]["configuration"]["value"])
            )
    return found


def virtual_host(service):
    host = service["spec"]["hosts"][0]
    routes = [route for rule in service["spec"]["http"] for route in routes_of(rule)]
    return {"name": f"{host}:443", "domains": [host], "include_request_attempt_count": True, "routes": routes}


def routes_of(rule):
    """istiod makes one route of each match."""
    for match in rule.get("match", [{"uri": {"prefix": "/"}}]):
        route = {"name": rule["name"], "match": match_of(match)}
        if "directResponse" in rule:
            route["direct_response"] = {"status": rule["directResponse"]["status"]}
        else:
            route["route"] = {
                "cluster": cluster_name(rule["route"][0]["destination"]),
                "timeout": rule.get("timeout", "0s"),
            }
        headers = rule.get("headers", {})
        if headers.get("request"):
            route["request_headers_to_remove"] = headers["request"]["remove"]
        response = headers.get("response", {})
        if response.get("remove"):
            route["response_headers_to_remove"] = response["remove"]
        changes = [
            (response.get("set", {}), "OVERWRITE_IF_EXISTS_OR_ADD"),
            (response.get("add", {}), "APPEND_IF_EXISTS_OR_ADD"),
        ]
        route["response_headers_to_add"] = [
            {"header": {"key": key, "value": value}, "append_action": action}
            for entries, action in changes
            for key, value in entries.items()
        ]
        if "corsPolicy" in rule:
            route["typed_per_filter_config"] = {"envoy.filters.http.cors": cors_policy(rule["corsPolicy"])}
        yield route


def match_of(match):
    uri = match.get("uri", {"prefix": "/"})
    result = {"path": uri["exact"]} if "exact" in uri else {"prefix": uri["prefix"]}
    for name, value in match.get("headers", {}).items():
        result.setdefault("headers", []).append(
            {"name": name, "string_match": {"safe_regex": {"regex": value["regex"]}}}
        )
    return result


def cors_policy(policy):
    return {
        "@type": CORS_POLICY,
        "allow_origin_string_match": policy["allowOrigins"],
        "allow_methods": ",".join(policy["allowMethods"]),
        "allow_headers": ",".join(policy["allowHeaders"]),
        "expose_headers": ",".join(policy["exposeHeaders"]),
        "max_age": "600",
        "forward_not_matching_preflights": policy["unmatchedPreflights"] != "IGNORE",
    }


def discovered(name):
    return {
        "name": name,
        "config_discovery": {
            "config_source": {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"},
            "type_urls": ["type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"],
        },
    }


def wasm_of(plugin, name):
    """What istiod makes of a WasmPlugin."""
    spec = plugin["spec"]
    policy = {"FAIL_CLOSE": "FAIL_CLOSED", "FAIL_RELOAD": "FAIL_RELOAD"}[spec["failStrategy"]]
    return {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
        "config": {
            "name": name,
            "root_id": spec["pluginName"],
            "failure_policy": policy,
            "vm_config": {
                "runtime": "envoy.wasm.runtime.v8",
                "code": {"remote": {"http_uri": {"uri": spec["url"], "cluster": "_", "timeout": "30s"}}},
            },
            "configuration": {"@type": STRING, "value": json.dumps(spec["pluginConfig"])},
        },
    }


def resolve(listener, extensions):
    """Puts the extensions where the filters ask for them, so that Envoy needs no control plane."""
    for entry in filters_of(listener):
        if entry.pop("config_discovery", None):
            assert (
                entry["name"] in extensions
            ), f"the filter {entry['name']} asks for an extension that nobody adds"
            entry["typed_config"] = extensions[entry["name"]]
