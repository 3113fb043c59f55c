//! Envoy's bootstrap for development: the production file, and patches on top of it.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::placeholders::{Values, substitute};
use super::stage::Stage;
use super::{apply, merge, read_yaml};
use crate::{StackError, StackOptions};

/// The file that production uses as it is.
pub const PRODUCTION_FILE: &str = "envoy.yaml";
/// What development changes.
pub const DEVELOPMENT_FILE: &str = "development.yaml";
/// What it changes as well where the simulator cannot listen on 443.
pub const STATIC_UPSTREAM_FILE: &str = "development-static-upstream.yaml";
/// What it changes as well where every part is in a container of its own.
pub const CONTAINERS_FILE: &str = "development-containers.yaml";
/// What production adds where the service has several instances.
pub const CALLOUT_RETRY_FILE: &str = "callout-retry.yaml";

const WASM_FILTER: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";
const GATEWAY: &str = "gateway";
/// Headers of every answer, in the routes' configuration.
const ANSWER_HEADERS: &str = "response_headers_to_add";
const ALLOWED_ORIGINS: &str = "allow_origin_string_match";
const PUBLIC_CLUSTER: &str = "oauth_public";

/// An overlay file of the folder `envoy/`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Overlay {
    /// RFC 6902 operations on the bootstrap.
    bootstrap: Vec<Value>,
    /// An RFC 7396 merge patch of the plugin's configuration.
    plugin: Value,
    /// Envoy's string matchers of origins, added to every CORS policy: each route has a copy of it.
    browser_origins: Vec<Value>,
}

/// The bootstrap of a run. `folder` holds the files named above, of which `overlays` are applied.
///
/// Order: overlays, stage, the options' plugin configuration, production's TLS if the options want it, the
/// options' patch.
///
/// # Errors
///
/// When a file cannot be read or a patch does not fit; the message names the file or option.
pub fn bootstrap(
    folder: &Path,
    overlays: &[&str],
    values: &Values,
    stage: &Stage,
    options: &StackOptions,
) -> Result<Value, StackError> {
    let mut bootstrap: Value = read_yaml(&folder.join(PRODUCTION_FILE))?;
    let production_tls = options.gateway_tls.then(|| Tls::of(&mut bootstrap));
    let mut plugin_patches = Vec::new();
    for name in overlays.iter().copied() {
        let overlay: Overlay = read_yaml(&folder.join(name))?;
        let mut operations = Value::Array(overlay.bootstrap);
        substitute(&mut operations, values, name)?;
        if let Value::Array(operations) = operations {
            apply(&mut bootstrap, operations, name)?;
        }
        allow_origins(&mut bootstrap, &overlay.browser_origins);
        let mut plugin = overlay.plugin;
        substitute(&mut plugin, values, name)?;
        plugin_patches.push(plugin);
    }
    change_plugin(&mut bootstrap, |configuration| {
        for patch in &plugin_patches {
            merge(configuration, patch);
        }
        stage.apply_to_plugin(configuration)?;
        merge(configuration, &options.plugin_configuration);
        Ok(())
    })?;
    if let Some(Value::Array(routes)) = gateway_routes(&mut bootstrap) {
        stage.apply_to_routes(routes);
    }
    if let Some(checks) = public_health_checks(&mut bootstrap) {
        stage.apply_to_health_checks(checks);
    }
    if let Some(tls) = production_tls {
        tls.put_back(&mut bootstrap);
    }
    let mut patch = Value::Array(options.envoy_patch.clone());
    substitute(&mut patch, values, "envoy_patch")?;
    if let Value::Array(operations) = patch {
        apply(&mut bootstrap, operations, "envoy_patch")?;
    }
    Ok(bootstrap)
}

/// What of the production file is for TLS alone: the certificate, and the headers that ask browsers for it.
struct Tls {
    socket: Option<Value>,
    metadata: Option<Value>,
    answer_headers: Option<Value>,
}

impl Tls {
    fn of(bootstrap: &mut Value) -> Self {
        let routes = connection_manager(bootstrap).and_then(|manager| manager.get("route_config"));
        let answer_headers = routes.and_then(|routes| routes.get(ANSWER_HEADERS).cloned());
        let metadata =
            gateway_listener(bootstrap).and_then(|listener| listener.get("metadata").cloned());
        let chain = gateway_filter_chain(bootstrap);
        Self {
            socket: chain.and_then(|chain| chain.get("transport_socket").cloned()),
            metadata,
            answer_headers,
        }
    }

    fn put_back(self, bootstrap: &mut Value) {
        let routes =
            connection_manager(bootstrap).and_then(|manager| manager.get_mut("route_config"));
        put(routes, ANSWER_HEADERS, self.answer_headers);
        put(gateway_listener(bootstrap), "metadata", self.metadata);
        put(gateway_filter_chain(bootstrap), "transport_socket", self.socket);
    }
}

fn put(object: Option<&mut Value>, name: &str, value: Option<Value>) {
    if let (Some(Value::Object(object)), Some(value)) = (object, value) {
        object.insert(name.to_owned(), value);
    }
}

/// Whether the gateway's listener speaks TLS in this bootstrap.
#[must_use]
pub fn gateway_has_tls(bootstrap: &Value) -> bool {
    named(bootstrap.pointer("/static_resources/listeners"), GATEWAY)
        .and_then(|listener| listener.pointer("/filter_chains/0/transport_socket"))
        .is_some()
}

/// Adds origins to each list of them, wherever it stands.
fn allow_origins(place: &mut Value, origins: &[Value]) {
    match place {
        Value::Object(fields) => {
            for (name, field) in fields {
                if let Value::Array(allowed) = field
                    && name == ALLOWED_ORIGINS
                {
                    allowed.extend_from_slice(origins);
                } else {
                    allow_origins(field, origins);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| allow_origins(item, origins)),
        _ => {}
    }
}

/// The plugin's configuration is JSON within a string: parses it, has it changed, writes it back.
fn change_plugin(
    bootstrap: &mut Value,
    change: impl FnOnce(&mut Value) -> Result<(), StackError>,
) -> Result<(), StackError> {
    let refuse = |reason: &str| StackError::configuration("the plugin in envoy.yaml", reason);
    let text = connection_manager(bootstrap)
        .and_then(|manager| manager.get_mut("http_filters")?.as_array_mut())
        .and_then(|filters| {
            filters.iter_mut().find(|filter| {
                filter.pointer("/typed_config/@type").and_then(Value::as_str) == Some(WASM_FILTER)
            })
        })
        .and_then(|filter| filter.pointer_mut("/typed_config/config/configuration/value"))
        .ok_or_else(|| refuse("there is no wasm filter with a configuration in the listener"))?;
    let json = text.as_str().ok_or_else(|| refuse("its configuration is not a string"))?;
    let mut configuration: Value =
        serde_json::from_str(json).map_err(|error| refuse(&error.to_string()))?;
    change(&mut configuration)?;
    *text = Value::String(configuration.to_string());
    Ok(())
}

fn gateway_routes(bootstrap: &mut Value) -> Option<&mut Value> {
    let hosts = connection_manager(bootstrap)?.pointer_mut("/route_config/virtual_hosts")?;
    named_mut(hosts, GATEWAY)?.get_mut("routes")
}

fn public_health_checks(bootstrap: &mut Value) -> Option<&mut Vec<Value>> {
    let clusters = bootstrap.pointer_mut("/static_resources/clusters")?;
    named_mut(clusters, PUBLIC_CLUSTER)?.get_mut("health_checks")?.as_array_mut()
}

fn connection_manager(bootstrap: &mut Value) -> Option<&mut Value> {
    gateway_filter_chain(bootstrap)?.pointer_mut("/filters/0/typed_config")
}

fn gateway_filter_chain(bootstrap: &mut Value) -> Option<&mut Value> {
    gateway_listener(bootstrap)?.pointer_mut("/filter_chains/0")
}

fn gateway_listener(bootstrap: &mut Value) -> Option<&mut Value> {
    named_mut(bootstrap.pointer_mut("/static_resources/listeners")?, GATEWAY)
}

fn named<'a>(items: Option<&'a Value>, name: &str) -> Option<&'a Value> {
    items?.as_array()?.iter().find(|item| item.get("name").and_then(Value::as_str) == Some(name))
}

fn named_mut<'a>(items: &'a mut Value, name: &str) -> Option<&'a mut Value> {
    items
        .as_array_mut()?
        .iter_mut()
        .find(|item| item.get("name").and_then(Value::as_str) == Some(name))
}

#[cfg(test)]
mod tests;
