//! What the benchmark takes from `envoy/envoy.yaml`, so that it measures what is shipped: the plugin's
//! filter and configuration, the gate, the route's lock, and the whole chain.

use std::path::Path;

use serde_json::{Value, json};

use crate::error::{BenchError, Result, because, failed};

/// Filters that need DNS or TLS, which the benchmark does without.
const NEEDS_NETWORK: [&str; 2] =
    ["envoy.filters.http.dynamic_forward_proxy", "private_address_guard"];

/// What leads a request to the upstream, and nothing else does.
#[derive(Debug, Clone)]
pub(crate) struct Lock {
    /// What takes a client's own mark off (`early_header_mutation_extensions`).
    pub(crate) early: Value,
    /// The headers that the route asks for.
    pub(crate) headers: Value,
    /// What the route sets in place of the plugin.
    pub(crate) additions: Value,
}

/// The production file.
#[derive(Debug)]
pub(crate) struct Production {
    manager: Value,
    rest: Value,
}

impl Production {
    /// Reads it.
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).map_err(BenchError::file(file))?;
        let rest: Value = serde_saphyr::from_str(&text).map_err(because("envoy.yaml"))?;
        let path = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
        match rest.pointer(path) {
            Some(manager) => Ok(Self { manager: manager.clone(), rest }),
            None => failed("envoy.yaml has no gateway listener"),
        }
    }

    /// Settings of the bootstrap beside listeners and clusters that the plugin's metrics need.
    pub(crate) fn stats_config(&self) -> Option<Value> {
        self.rest.get("stats_config").cloned()
    }

    /// One of the HTTP filters.
    pub(crate) fn filter(&self, name: &str) -> Result<Value> {
        let filters = self.manager.get("http_filters").and_then(Value::as_array);
        match filters.and_then(|filters| filters.iter().find(|filter| filter["name"] == name)) {
            Some(filter) => Ok(filter.clone()),
            None => failed(format!("envoy.yaml has no HTTP filter `{name}`")),
        }
    }

    /// The plugin's filter with its code from `plugin`, and `patch` over its configuration.
    pub(crate) fn plugin(&self, plugin: &Path, patch: &Value) -> Result<Value> {
        let mut filter = self.filter("ib_gateway")?;
        prepare_plugin(&mut filter, plugin, patch)?;
        Ok(filter)
    }

    /// The plugin's filter with other code, which takes `configuration` as it is: what Envoy does around the
    /// code is the same.
    pub(crate) fn other_code(&self, code: &Path, configuration: String) -> Result<Value> {
        let mut filter = self.plugin(code, &json!({}))?;
        match filter.pointer_mut("/typed_config/config/configuration/value") {
            Some(value) => *value = Value::String(configuration),
            None => return failed("envoy.yaml's plugin has no configuration"),
        }
        Ok(filter)
    }

    /// How the filter's mark is kept from clients, and what the route to the upstream asks of a request.
    pub(crate) fn lock(&self) -> Result<Lock> {
        let hosts = self.manager.pointer("/route_config/virtual_hosts").and_then(Value::as_array);
        let routes = hosts.into_iter().flatten().filter_map(|host| host["routes"].as_array());
        let found = routes.flatten().find(|route| route["name"] == "intelligencebank");
        let headers = found.and_then(|route| route.pointer("/match/headers"));
        let additions = found.and_then(|route| route.get("request_headers_to_add"));
        match (self.manager.get("early_header_mutation_extensions"), headers, additions) {
            (Some(early), Some(headers), Some(additions)) => Ok(Lock {
                early: early.clone(),
                headers: headers.clone(),
                additions: additions.clone(),
            }),
            _ => failed("envoy.yaml has no route `intelligencebank` with a lock"),
        }
    }

    /// The whole connection manager, without what needs DNS or TLS, and with limits that no load meets.
    pub(crate) fn whole(&self, plugin: &Path) -> Result<Value> {
        let mut manager = self.manager.clone();
        let Some(filters) = manager.get_mut("http_filters").and_then(Value::as_array_mut) else {
            return failed("envoy.yaml has no HTTP filters");
        };
        filters.retain(|filter| !NEEDS_NETWORK.iter().any(|name| filter["name"] == *name));
        for filter in filters.iter_mut().filter(|filter| filter["name"] == "ib_gateway") {
            prepare_plugin(filter, plugin, &json!({}))?;
        }
        for limit in Limit::ALL {
            limit.set(&mut manager, UNLIMITED)?;
        }
        Ok(manager)
    }

    /// The same without its limits, and without the names of callers that they need.
    pub(crate) fn whole_without_limits(&self, plugin: &Path) -> Result<Value> {
        let mut manager = self.whole(plugin)?;
        if let Some(filters) = manager.get_mut("http_filters").and_then(Value::as_array_mut) {
            filters.retain(|entry| !FILTERS_OF_LIMITS.iter().any(|name| entry["name"] == *name));
            for filter in filters.iter_mut().filter(|filter| filter["name"] == "ib_gateway") {
                prepare_plugin(filter, plugin, &json!({ "caller_headers": "none" }))?;
            }
        }
        // The route that switches them on.
        let hosts =
            manager.pointer_mut("/route_config/virtual_hosts").and_then(Value::as_array_mut);
        let routes = hosts.into_iter().flatten().filter_map(|host| host.get_mut("routes"));
        for route in routes.filter_map(Value::as_array_mut).flatten() {
            if let Some(Value::Object(settings)) = route.get_mut("typed_per_filter_config") {
                for name in FILTERS_OF_LIMITS {
                    settings.remove(name);
                }
            }
        }
        Ok(manager)
    }
}

const ADDRESS_LIMIT: &str = "address_limit";
const CLIENT_LIMIT: &str = "client_limit";
const USER_LIMIT: &str = "user_limit";
const FILTERS_OF_LIMITS: [&str; 3] = [ADDRESS_LIMIT, CLIENT_LIMIT, USER_LIMIT];
/// Requests a second that no load of one machine sends.
const UNLIMITED: u32 = 100_000_000;

/// One of the limits of envoy.yaml.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Limit {
    /// Of an address, before the plugin.
    Address,
    /// Of a user, behind it.
    User,
    /// Of a client, behind it.
    Client,
}

impl Limit {
    const ALL: [Self; 3] = [Self::Address, Self::User, Self::Client];

    /// Lets so many requests pass in a second, and as many at once.
    pub(crate) fn set(self, manager: &mut Value, per_second: u32) -> Result<()> {
        let filter = match self {
            Self::Address => ADDRESS_LIMIT,
            Self::User => USER_LIMIT,
            Self::Client => CLIENT_LIMIT,
        };
        let filters = manager.get_mut("http_filters").and_then(Value::as_array_mut);
        let found = filters
            .and_then(|filters| filters.iter_mut().find(|entry| entry["name"] == filter))
            .and_then(|entry| entry.pointer_mut("/typed_config/descriptors/0/token_bucket"));
        let Some(bucket) = found else {
            return failed(format!("envoy.yaml has no limit {self:?} in `{filter}`"));
        };
        *bucket = json!({
            "max_tokens": per_second, "tokens_per_fill": per_second, "fill_interval": "1s",
        });
        Ok(())
    }
}

fn prepare_plugin(filter: &mut Value, plugin: &Path, patch: &Value) -> Result<()> {
    if let Some(code) = filter.pointer_mut("/typed_config/config/vm_config/code") {
        *code = json!({ "local": { "filename": plugin } });
    }
    let Some(text) = filter.pointer_mut("/typed_config/config/configuration/value") else {
        return failed("envoy.yaml's plugin has no configuration");
    };
    let mut configuration: Value =
        serde_json::from_str(text.as_str().unwrap_or_default()).map_err(because("envoy.yaml"))?;
    merge(&mut configuration, patch);
    *text = Value::String(configuration.to_string());
    Ok(())
}

/// RFC 7396.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, value) in fields {
        if let Value::Object(object) = target {
            if value.is_null() {
                object.remove(name);
            } else {
                merge(object.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_of_the_production_file_are_found_lifted_and_taken_away() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../envoy/envoy.yaml");
        let production = Production::read(&file).unwrap();
        let whole = production.whole(Path::new("plugin.wasm")).unwrap();
        let filters = whole["http_filters"].as_array().unwrap();
        let descriptors = filters
            .iter()
            .filter_map(|entry| entry.pointer("/typed_config/descriptors")?.as_array());
        let limits: Vec<_> =
            descriptors.flatten().map(|entry| &entry["token_bucket"]["max_tokens"]).collect();
        assert_eq!(limits, [UNLIMITED, UNLIMITED, UNLIMITED]);
        let without = production.whole_without_limits(Path::new("plugin.wasm")).unwrap();
        for trace in FILTERS_OF_LIMITS {
            assert!(!without.to_string().contains(trace), "{trace}");
        }
    }
}
