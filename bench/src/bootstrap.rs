//! Envoy's bootstrap for one variant: one listener, one upstream, no TLS, and otherwise only what differs.

use std::path::Path;

use serde_json::{Value, json};

use crate::{
    addresses::Addresses,
    production::Lock,
    traffic::{GATEWAY_HOST, UPSTREAM_HOST},
};

/// The type of a message by its name without the common start.
pub(crate) fn typed(name: &str, mut message: Value) -> Value {
    if let Value::Object(fields) = &mut message {
        fields.insert("@type".to_owned(), json!(format!("type.googleapis.com/{name}")));
    }
    message
}

/// An HTTP filter.
pub(crate) fn filter(name: &str, of_type: &str, message: Value) -> Value {
    json!({ "name": name, "typed_config": typed(of_type, message) })
}

/// How requests get to the upstream.
#[derive(Debug, Clone)]
pub(crate) enum Route {
    /// All of them, as they are.
    Open,
    /// All of them, with host and path rewritten by the route and the authorization removed.
    Rewriting,
    /// Those that carry a filter's mark; the others lead nowhere.
    Locked(Lock),
}

/// One listener.
pub(crate) fn manager(mut filters: Vec<Value>, route: &Route) -> Value {
    filters.push(filter(
        "envoy.filters.http.router",
        "envoy.extensions.filters.http.router.v3.Router",
        json!({ "suppress_envoy_headers": true }),
    ));
    let upstream = json!({ "cluster": "intelligencebank", "timeout": "30s" });
    let routes = match route {
        Route::Open => json!([{ "match": { "prefix": "/" }, "route": upstream }]),
        Route::Rewriting => json!([{
            "match": { "prefix": format!("/proxy/{UPSTREAM_HOST}/") },
            "route": {
                "cluster": "intelligencebank", "timeout": "30s",
                "prefix_rewrite": "/", "host_rewrite_literal": UPSTREAM_HOST,
            },
            "request_headers_to_remove": ["authorization"],
        }]),
        Route::Locked(lock) => json!([
            {
                "match": { "prefix": "/", "headers": lock.headers }, "route": upstream,
                "request_headers_to_add": lock.additions,
            },
            { "match": { "prefix": "/" }, "route": { "cluster": "nowhere" } },
        ]),
    };
    let early = match route {
        Route::Locked(lock) => lock.early.clone(),
        Route::Open | Route::Rewriting => json!([]),
    };
    typed(
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        json!({
            "stat_prefix": "gateway",
            "use_remote_address": true,
            "skip_xff_append": true,
            "internal_address_config": {
                "cidr_ranges": [{ "address_prefix": "255.255.255.255", "prefix_len": 32 }],
            },
            // As behind TLS, where the plugin runs.
            "scheme_header_transformation": { "scheme_to_overwrite": "https" },
            "early_header_mutation_extensions": early,
            "http_filters": filters,
            "route_config": { "virtual_hosts": [
                { "name": "all", "domains": ["*"], "routes": routes },
            ]},
        }),
    )
}

/// The whole bootstrap around a connection manager.
///
/// `credential` is the file that [`credential_file`] makes.
pub(crate) fn bootstrap(
    addresses: &Addresses,
    manager: &Value,
    stats: Option<Value>,
    credential: &Path,
) -> Value {
    let mut bootstrap = json!({
        "node": { "id": "bench", "cluster": "bench" },
        "admin": { "address": socket(addresses.admin) },
        "static_resources": {
            "listeners": [{
                "name": "gateway",
                "address": socket(addresses.gateway),
                "per_connection_buffer_limit_bytes": 65_536,
                "filter_chains": [{ "filters": [{
                    "name": "envoy.filters.network.http_connection_manager",
                    "typed_config": manager,
                }]}],
            }],
            "clusters": [
                cluster("intelligencebank", addresses.upstream, &[]),
                cluster("authorization", addresses.authorization, &[]),
                cluster("adapter", addresses.adapter, &[]),
                cluster("token_service", addresses.service_internal, &injector(credential)),
                cluster("oauth_public", addresses.service_public, &[]),
                { "name": "nowhere", "type": "STATIC", "connect_timeout": "1s" },
            ],
        },
    });
    if let (Some(stats), Value::Object(fields)) = (stats, &mut bootstrap) {
        fields.insert("stats_config".to_owned(), stats);
    }
    bootstrap
}

/// The gateway's credential, added to callouts as in production.
fn injector(file: &Path) -> [Value; 2] {
    let secret = json!({
        "name": "gateway_credential",
        "sds_config": {
            "resource_api_version": "V3",
            "path_config_source": { "path": file },
        },
    });
    let credential = json!({
        "name": "envoy.http.injected_credentials.generic",
        "typed_config": typed(
            "envoy.extensions.http.injected_credentials.generic.v3.Generic",
            json!({ "credential": secret }),
        ),
    });
    [
        filter(
            "envoy.filters.http.credential_injector",
            "envoy.extensions.filters.http.credential_injector.v3.CredentialInjector",
            json!({ "overwrite": true, "credential": credential }),
        ),
        filter(
            "envoy.filters.http.upstream_codec",
            "envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec",
            json!({}),
        ),
    ]
}

/// The file by which Envoy learns where the credential is.
pub(crate) fn credential_file(authorization: &str) -> Value {
    json!({ "resources": [typed(
        "envoy.extensions.transport_sockets.tls.v3.Secret",
        json!({
            "name": "gateway_credential",
            "generic_secret": { "secret": { "filename": authorization } },
        }),
    )]})
}

fn cluster(name: &str, address: std::net::SocketAddr, filters: &[Value]) -> Value {
    let mut options = json!({ "explicit_http_config": { "http_protocol_options": {} } });
    if let (false, Value::Object(fields)) = (filters.is_empty(), &mut options) {
        fields.insert("http_filters".to_owned(), json!(filters));
    }
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "circuit_breakers": { "thresholds": [
            { "max_connections": 1024, "max_pending_requests": 4096, "max_requests": 4096 },
        ]},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions":
                typed("envoy.extensions.upstreams.http.v3.HttpProtocolOptions", options),
        },
        "load_assignment": { "cluster_name": name, "endpoints": [{ "lb_endpoints": [
            { "endpoint": { "address": socket(address) } },
        ]}]},
    })
}

fn socket(address: std::net::SocketAddr) -> Value {
    json!({ "socket_address": {
        "address": address.ip().to_string(), "port_value": address.port(),
    }})
}

/// A wasm filter with its code and configuration.
pub(crate) fn wasm(code: &Path, configuration: &str) -> Value {
    filter(
        "wasm",
        "envoy.extensions.filters.http.wasm.v3.Wasm",
        json!({ "config": {
            "name": "bench",
            "vm_config": {
                "vm_id": "bench",
                "runtime": "envoy.wasm.runtime.v8",
                "code": { "local": { "filename": code } },
            },
            "configuration": typed(
                "google.protobuf.StringValue",
                json!({ "value": configuration }),
            ),
        }}),
    )
}

/// `ext_authz` by HTTP, which asks a cluster.
pub(crate) fn ext_authz(cluster: &str) -> Value {
    filter(
        "envoy.filters.http.ext_authz",
        "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
        json!({ "http_service": {
            "server_uri": { "uri": "authorization", "cluster": cluster, "timeout": "2s" },
            "authorization_response": {
                "allowed_upstream_headers": { "patterns": [{ "exact": "sid" }] },
            },
        }}),
    )
}

/// Lua.
pub(crate) fn lua(script: &str) -> Value {
    filter(
        "envoy.filters.http.lua",
        "envoy.extensions.filters.http.lua.v3.Lua",
        json!({ "default_source_code": { "inline_string": script } }),
    )
}

/// `jwt_authn` for ES256, with or without its cache.
pub(crate) fn jwt_authn(keys: &Value, has_cache: bool) -> Value {
    let mut provider = json!({
        "issuer": crate::jwt::ISSUER,
        "audiences": [format!("https://{GATEWAY_HOST}/proxy/")],
        "forward": false,
        "local_jwks": { "inline_string": keys.to_string() },
    });
    if let (true, Value::Object(fields)) = (has_cache, &mut provider) {
        fields.insert("jwt_cache_config".to_owned(), json!({ "jwt_cache_size": 1000 }));
    }
    filter(
        "envoy.filters.http.jwt_authn",
        "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
        json!({
            "providers": { "gateway": provider },
            "rules": [{ "match": { "prefix": "/" }, "requires": { "provider_name": "gateway" } }],
        }),
    )
}

/// Native `header_mutation`: a session id in, the authorization out.
pub(crate) fn header_mutation() -> Value {
    let sid = json!({
        "header": { "key": "sid", "value": "0123456789abcdef0123456789abcdef" },
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    });
    filter(
        "envoy.filters.http.header_mutation",
        "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
        json!({ "mutations": { "request_mutations": [
            { "append": sid },
            { "remove": "authorization" },
        ]}}),
    )
}
