"""What Envoy Gateway's proxies get from the manifests: its part in the shape that Envoy Gateway gives it, as far
as the patches touch it, and the patches applied.

Envoy Gateway itself is not here: see istio.py about what this can show and what it cannot.
"""

import copy
import json
import re

from istio import CORS, CORS_POLICY, HCM, HCM_TYPE, ROUTER, STRING, connection_manager, filters_of
from project import named

NAMESPACE = "ib-gateway"
FILTER_CONFIG = "type.googleapis.com/envoy.config.route.v3.FilterConfig"
EARLY = "type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"
LISTENER_TYPE = "type.googleapis.com/envoy.config.listener.v3.Listener"
DYNAMIC = "type.googleapis.com/envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig"


def compose(objects):
    """The listener and the clusters of the gateway, those of the bootstrap included."""
    listener = base_listener(objects)
    clusters = [cluster for route in kind(objects, "HTTPRoute") for cluster in clusters_of(objects, route)]
    proxy = named(objects, "EnvoyProxy", "ib-gateway")
    bootstrap = {
        "static_resources": {"clusters": [{"name": "xds_cluster"}]},
        "layered_runtime": {"layers": [{"name": "global_config"}]},
    }
    for operation in proxy["spec"]["bootstrap"]["jsonPatches"]:
        json_patch(bootstrap, operation, operation["path"])
    runtime = bootstrap["layered_runtime"]["layers"][0]["static_layer"]
    for policy in kind(objects, "EnvoyPatchPolicy"):
        for patch in policy["spec"]["jsonPatches"]:
            assert (
                patch["type"] == LISTENER_TYPE and patch["name"] == listener["name"]
            ), f"no resource {patch['name']}"
            apply(listener, patch["operation"])
    return listener, clusters + bootstrap["static_resources"]["clusters"][1:], runtime


def kind(objects, wanted):
    return [entry for entry in objects if entry["kind"] == wanted]


def apply(document, operation):
    """A patch of Envoy Gateway: at each place that the JSONPath names, with the path after it."""
    places = find(document, operation["jsonPath"])
    assert places, f"nothing at {operation['jsonPath']}"
    for place in places:
        path = place + ("/" + operation["path"].lstrip("/") if operation.get("path") else "")
        json_patch(document, operation, path)


def json_patch(document, operation, path):
    """RFC 6902, `add` alone."""
    assert operation["op"] == "add", operation["op"]
    *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]
    for part in parents:
        document = document[int(part)] if isinstance(document, list) else document[part]
    value = copy.deepcopy(operation["value"])
    if isinstance(document, list):
        document.insert(len(document) if last == "-" else int(last), value)
    else:
        document[last] = value


def find(document, path):
    """Pointers to what a JSONPath of the form `..LIST[?(@.name=='NAME')].FIELD.FIELD` names."""
    form = re.fullmatch(r"\.\.(\w+)\[\?\(@\.name=='([^']+)'\)\]((?:\.\w+)*)", path)
    assert form, f"a JSONPath of a form that is not known here: {path}"
    wanted, name, rest = form.groups()
    suffix = rest.replace(".", "/")
    return [
        f"{pointer}/{index}{suffix}"
        for pointer, entries in walk(document, "")
        if pointer.endswith(f"/{wanted}") and isinstance(entries, list)
        for index, entry in enumerate(entries)
        if entry.get("name") == name
    ]


def walk(document, pointer):
    yield pointer, document
    entries = (
        document.items()
        if isinstance(document, dict)
        else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in entries:
        escaped = str(key).replace("~", "~0").replace("/", "~1")
        yield from walk(value, f"{pointer}/{escaped}")


def base_listener(objects):
    traffic = named(objects, "ClientTrafficPolicy", "ib-gateway")["spec"]
    removed = traffic["headers"]["earlyRequestHeaders"]["remove"]
    manager = {
        "@type": HCM_TYPE,
        "stat_prefix": "https",
        "use_remote_address": True,
        "normalize_path": True,
        "merge_slashes": not traffic["path"]["disableMergeSlashes"],
        "path_with_escaped_slashes_action": {"KeepUnchanged": "KEEP_UNCHANGED"}[
            traffic["path"]["escapedSlashesAction"]
        ],
        "early_header_mutation_extensions": [
            {
                "name": "early",
                "typed_config": {"@type": EARLY, "mutations": [{"remove": name} for name in removed]},
            }
        ],
        "http_filters": [
            {"name": "envoy.filters.http.cors", "typed_config": {"@type": CORS}},
            *(
                wasm_of(policy, index, wasm)
                for policy in kind(objects, "EnvoyExtensionPolicy")
                for index, wasm in enumerate(policy["spec"]["wasm"])
            ),
            {"name": "envoy.filters.http.router", "typed_config": {"@type": ROUTER}},
        ],
        "route_config": {
            "name": f"{NAMESPACE}/ib-gateway/https",
            "ignore_port_in_host_matching": True,
            "virtual_hosts": virtual_hosts(objects),
            "response_headers_to_remove": traffic["headers"]["lateResponseHeaders"]["remove"],
            "response_headers_to_add": [
                {
                    "header": {"key": header["name"], "value": header["value"]},
                    "append_action": "ADD_IF_ABSENT",
                }
                for header in traffic["headers"]["lateResponseHeaders"]["addIfAbsent"]
            ],
        },
    }
    return {
        "name": f"{NAMESPACE}/ib-gateway/https",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "per_connection_buffer_limit_bytes": {"64Ki": 65536}[traffic["connection"]["bufferLimit"]],
        "filter_chains": [{"filters": [{"name": HCM, "typed_config": manager}]}],
    }


def wasm_name(policy, index):
    return (
        f"envoy.filters.http.wasm/envoyextensionpolicy/{NAMESPACE}/{policy['metadata']['name']}/wasm/{index}"
    )


def wasm_of(policy, index, wasm):
    """Off, until a route says otherwise."""
    return {
        "name": wasm_name(policy, index),
        "disabled": True,
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": {
                "name": wasm["name"],
                "root_id": wasm["rootID"],
                "vm_config": {
                    "vm_id": wasm["name"],
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": {
                        "remote": {
                            "http_uri": {
                                "uri": wasm["code"]["image"]["url"],
                                "cluster": "_",
                                "timeout": "30s",
                            }
                        }
                    },
                },
                "configuration": {"@type": STRING, "value": json.dumps(wasm["config"])},
            },
        },
    }


def virtual_hosts(objects):
    hosts = {}
    for route in kind(objects, "HTTPRoute"):
        for host in route["spec"]["hostnames"]:
            hosts.setdefault(host, []).extend(routes_of(objects, route))
    # Exact paths before prefixes, as the Gateway API wants it.
    for routes in hosts.values():
        routes.sort(key=lambda entry: "path" not in entry["match"])
    return [{"name": host, "domains": [host], "routes": routes} for host, routes in hosts.items()]


def routes_of(objects, route):
    name = route["metadata"]["name"]
    for index, rule in enumerate(route["spec"]["rules"]):
        for match in rule["matches"]:
            entry = {
                "name": f"httproute/{NAMESPACE}/{name}/rule/{index}",
                "match": match_of(match),
                "route": {"cluster": f"httproute/{NAMESPACE}/{name}/rule/{index}"},
                "typed_per_filter_config": {},
            }
            for change in rule.get("filters", []):
                if change["type"] == "RequestHeaderModifier":
                    entry["request_headers_to_remove"] = change["requestHeaderModifier"]["remove"]
                else:
                    response = change["responseHeaderModifier"]
                    entry["response_headers_to_remove"] = response["remove"]
                    entry["response_headers_to_add"] = [
                        {"header": {"key": header["name"], "value": header["value"]}, "append_action": action}
                        for field, action in (
                            ("set", "OVERWRITE_IF_EXISTS_OR_ADD"),
                            ("add", "APPEND_IF_EXISTS_OR_ADD"),
                        )
                        for header in response.get(field, [])
                    ]
            for policy in kind(objects, "EnvoyExtensionPolicy"):
                if targets(policy, name):
                    for number, _ in enumerate(policy["spec"]["wasm"]):
                        entry["typed_per_filter_config"][wasm_name(policy, number)] = {
                            "@type": FILTER_CONFIG,
                            "config": {},
                        }
            for policy in kind(objects, "SecurityPolicy"):
                if targets(policy, name):
                    entry["typed_per_filter_config"]["envoy.filters.http.cors"] = cors_policy(
                        policy["spec"]["cors"]
                    )
            yield entry


def targets(policy, route):
    return any(
        target["kind"] == "HTTPRoute" and target["name"] == route for target in policy["spec"]["targetRefs"]
    )


def match_of(match):
    path = match.get("path", {"type": "PathPrefix", "value": "/"})
    result = (
        {"path": path["value"]}
        if path["type"] == "Exact"
        else {"prefix": "/"} if path["value"] == "/" else {"path_separated_prefix": path["value"]}
    )
    for header in match.get("headers", []):
        result.setdefault("headers", []).append(
            {"name": header["name"], "string_match": {"safe_regex": {"regex": header["value"]}}}
        )
    return result


def cors_policy(cors):
    return {
        "@type": CORS_POLICY,
        "allow_origin_string_match": [{"exact": origin} for origin in cors["allowOrigins"]],
        "allow_methods": ", ".join(cors["allowMethods"]),
        "allow_headers": ", ".join(cors["allowHeaders"]),
        "expose_headers": ", ".join(cors["exposeHeaders"]),
        "max_age": cors["maxAge"].rstrip("s"),
    }


def clusters_of(objects, route):
    """Clusters without addresses; the forward proxy for a DynamicResolver."""
    for index, rule in enumerate(route["spec"]["rules"]):
        cluster = {
            "name": f"httproute/{NAMESPACE}/{route['metadata']['name']}/rule/{index}",
            "connect_timeout": "10s",
        }
        backend = rule["backendRefs"][0]
        spec = named(objects, "Backend", backend["name"])["spec"] if backend.get("kind") == "Backend" else {}
        if spec.get("type") == "DynamicResolver":
            cluster |= {
                "lb_policy": "CLUSTER_PROVIDED",
                "cluster_type": {
                    "name": "envoy.clusters.dynamic_forward_proxy",
                    "typed_config": {
                        "@type": DYNAMIC,
                        "dns_cache_config": {"name": "v4_preferred"},
                        "allow_insecure_cluster_options": True,
                    },
                },
            }
        elif spec.get("endpoints", [{}])[0].get("unix"):
            endpoint = {"address": {"pipe": {"path": spec["endpoints"][0]["unix"]["path"]}}}
            cluster |= {
                "type": "STATIC",
                "load_assignment": {
                    "cluster_name": cluster["name"],
                    "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}],
                },
            }
        else:
            cluster |= {"type": "STATIC"}
        yield cluster


__all__ = ["compose", "connection_manager", "filters_of"]
