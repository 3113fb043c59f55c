//! A stage prefix, such as `/dev`: before the paths of the gateway's routes and in the plugin's URLs.

use reqwest::Url;
use serde_json::Value;

use crate::StackError;

/// A checked stage prefix; empty where there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stage(String);

/// Well-known paths stand before a stage, not behind it (RFC 8414 section 3.1, RFC 9728 section 3.1).
const WELL_KNOWN: &str = "/.well-known/";
const RESOURCE_METADATA: &str = "/.well-known/oauth-protected-resource";

impl Stage {
    /// Checks a prefix: nothing, or segments of letters, digits, `-`, `_` and `.`, each after a slash.
    ///
    /// # Errors
    ///
    /// When it is of another form.
    pub fn new(prefix: Option<&str>) -> Result<Self, StackError> {
        let prefix = prefix.unwrap_or_default();
        let refuse = || {
            StackError::configuration(
                format!("stage `{prefix}`"),
                "it must begin with a slash, end without one and hold letters, digits, - _ . only",
            )
        };
        if prefix.is_empty() {
            return Ok(Self::default());
        }
        let segments = prefix.strip_prefix('/').ok_or_else(refuse)?;
        for segment in segments.split('/') {
            let plain =
                |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
            if segment.is_empty()
                || segment == "."
                || segment == ".."
                || !segment.bytes().all(plain)
            {
                return Err(refuse());
            }
        }
        Ok(Self(prefix.to_owned()))
    }

    /// The prefix as it stands before a path: `/dev`, or nothing.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Prepends the prefix to the routes of the virtual host `gateway`. Left as they are: the
    /// well-known paths, and the route for everything, which answers what no other route takes.
    pub(crate) fn apply_to_routes(&self, routes: &mut [Value]) {
        for route in routes {
            for key in ["prefix", "path", "path_separated_prefix"] {
                if let Some(Value::String(path)) = route.pointer_mut(&format!("/match/{key}"))
                    && path != "/"
                    && !path.starts_with(WELL_KNOWN)
                {
                    path.insert_str(0, &self.0);
                }
            }
        }
    }

    /// Prepends the prefix to the paths by which the public port of the service is checked.
    pub(crate) fn apply_to_health_checks(&self, checks: &mut [Value]) {
        for check in checks {
            if let Some(Value::String(path)) = check.pointer_mut("/http_health_check/path") {
                path.insert_str(0, &self.0);
            }
        }
    }

    /// Puts the prefix into the plugin's `prefixes`, `resource` and `resource_metadata`.
    pub(crate) fn apply_to_plugin(&self, configuration: &mut Value) -> Result<(), StackError> {
        if let Some(Value::Array(prefixes)) = configuration.get_mut("prefixes") {
            for prefix in prefixes {
                if let Value::String(prefix) = prefix {
                    prefix.insert_str(0, &self.0);
                }
            }
        }
        for (field, before) in [("resource", ""), ("resource_metadata", RESOURCE_METADATA)] {
            if let Some(Value::String(address)) = configuration.get_mut(field) {
                *address = self.within(address, before).map_err(|reason| {
                    StackError::configuration(format!("plugin {field}"), reason)
                })?;
            }
        }
        Ok(())
    }

    /// `address` with the prefix after `before`, where the path begins with that.
    fn within(&self, address: &str, before: &str) -> Result<String, String> {
        let mut url = Url::parse(address).map_err(|error| format!("`{address}`: {error}"))?;
        let rest = url
            .path()
            .strip_prefix(before)
            .ok_or_else(|| format!("the path of `{address}` does not begin with {before}"))?;
        let path = format!("{before}{}{rest}", self.0);
        url.set_path(&path);
        Ok(url.into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_stage_that_would_change_the_meaning_of_a_path_is_refused() {
        for bad in ["dev", "/", "/dev/", "/a//b", "/..", "/a/./b", "/a%2fb", "/a b", "/a?b"] {
            assert!(Stage::new(Some(bad)).is_err(), "{bad}");
        }
        assert_eq!(Stage::new(Some("/dev")).unwrap().as_str(), "/dev");
        assert_eq!(Stage::new(Some("")).unwrap(), Stage::new(None).unwrap());
    }

    #[test]
    fn routes_move_under_the_stage_but_well_known_paths_and_the_last_route_stay() {
        let mut routes = json!([
            {"match": {"prefix": "/proxy/"}},
            {"match": {"path": "/token"}},
            {"match": {"path_separated_prefix": "/.well-known/oauth-authorization-server"}},
            {"match": {"prefix": "/"}},
        ]);
        Stage::new(Some("/dev")).unwrap().apply_to_routes(routes.as_array_mut().unwrap());
        assert_eq!(
            routes,
            json!([
                {"match": {"prefix": "/dev/proxy/"}},
                {"match": {"path": "/dev/token"}},
                {"match": {"path_separated_prefix": "/.well-known/oauth-authorization-server"}},
                {"match": {"prefix": "/"}},
            ])
        );
    }

    #[test]
    fn the_service_under_a_stage_is_asked_there_whether_it_is_well() {
        let mut checks = json!([{"http_health_check": {"path": "/healthz"}}]);
        let stage = Stage::new(Some("/dev")).unwrap();
        stage.apply_to_health_checks(checks.as_array_mut().unwrap());
        assert_eq!(checks, json!([{"http_health_check": {"path": "/dev/healthz"}}]));
    }

    #[test]
    fn the_plugin_names_its_resource_under_the_stage_and_its_metadata_before_it() {
        let mut configuration = json!({
            "prefixes": ["/proxy/"],
            "resource": "http://127.0.0.1:8080/proxy/",
            "resource_metadata": "http://127.0.0.1:8080/.well-known/oauth-protected-resource/proxy/",
        });
        Stage::new(Some("/dev")).unwrap().apply_to_plugin(&mut configuration).unwrap();
        assert_eq!(
            configuration,
            json!({
                "prefixes": ["/dev/proxy/"],
                "resource": "http://127.0.0.1:8080/dev/proxy/",
                "resource_metadata":
                    "http://127.0.0.1:8080/.well-known/oauth-protected-resource/dev/proxy/",
            })
        );
    }
}
