//! The service's development settings.

use serde_json::{Map, Value, json};

use super::merge;
use crate::running::dns::SIMULATED_HOSTS;
use crate::running::layout::Layout;
use crate::running::places::Places;

/// The public client that clients of the Model Context Protocol share; it also serves the
/// demonstration of `make run`.
pub const PUBLIC_CLIENT: &str = "mcp-public-client";

/// The client and the resource of `examples/mcp-server`.
pub const EXAMPLE_MCP_SERVER: &str = "example-mcp-server";
const EXAMPLE_MCP_RESOURCE: &str = "http://127.0.0.1:8090/mcp";

/// A limit that no load test reaches.
const GENEROUS: Rate = Rate { per_minute: 6_000_000, burst: 1_000_000 };

/// How often something may be asked for.
#[derive(Clone, Copy, serde::Serialize)]
struct Rate {
    per_minute: u32,
    burst: u32,
}

/// The settings of a run whose gateway is at `base` (scheme, address and stage), with `patch` (RFC 7396) merged over them.
#[must_use]
pub fn settings(layout: &Layout, places: &Places, base: &str, patch: &Value) -> Value {
    let resolve: Map<String, Value> = SIMULATED_HOSTS
        .iter()
        .map(|host| ((*host).to_owned(), json!(places.simulator_tls.to_string())))
        .collect();
    let mut settings = json!({
        "issuer": base,
        "listen": {
            "public": places.service_public.to_string(),
            "internal": places.service_internal.to_string(),
        },
        "log": "info",
        "store": { "engine": "redb", "path": layout.store() },
        "sealing": { "keys": [{ "id": "development", "file": layout.sealing_key() }] },
        "token_tags": { "keys": [{ "id": "development", "file": layout.token_tag_key() }] },
        "gateway": { "credentials": [{ "file": layout.gateway_credential() }] },
        "resource": format!("{base}/proxy/"),
        "additional_resources": [EXAMPLE_MCP_RESOURCE],
        "server": { "trusted_hops": 1 },
        // Everybody has the same address here, and load tests are no abuse.
        "limits": {
            "login": { "address": GENEROUS, "client": GENEROUS, "platform": GENEROUS },
            "poll": { "address": GENEROUS },
            "register": { "address": GENEROUS },
            "token": { "address": GENEROUS, "client": GENEROUS },
            "introspect": { "address": GENEROUS, "client": GENEROUS },
            "revoke": { "address": GENEROUS, "client": GENEROUS },
            "failed_authentication": { "address": GENEROUS },
            "pending_logins": { "total": 100_000, "address": 100_000, "platform": 100_000 },
        },
        "intelligencebank": {
            "maximum_concurrent": 4_096,
            "maximum_concurrent_per_platform": 4_096,
            "platform_hosts": ["*.intelligencebank.com"],
            "extra_ca_file": layout.ca_pem(),
        },
        "console": { "enabled": true },
        "development": { "allow_private_addresses": true, "resolve": resolve },
        "clients": [
            {
                "id": PUBLIC_CLIENT,
                "name": "Model Context Protocol client",
                "type": "public",
                "redirect_uris": [
                    "https://*.connectingib.com/callback",
                    "https://claude.ai/api/mcp/auth_callback",
                    "https://claude.com/api/mcp/auth_callback",
                    "http://127.0.0.1/callback",
                    "http://127.0.0.1/oauth/callback",
                    "http://127.0.0.1/oauth/callback/debug",
                    "http://[::1]/callback",
                    "http://[::1]/oauth/callback",
                    "http://[::1]/oauth/callback/debug",
                    "http://localhost/callback",
                    "http://localhost/oauth/callback",
                    "http://localhost/oauth/callback/debug",
                ],
                "scopes": ["profile"],
            },
            {
                "id": "test-client",
                "name": "Test client",
                "type": "public",
                "redirect_uris": ["http://127.0.0.1/callback", "http://localhost/callback"],
                "scopes": ["profile"],
            },
            {
                "id": EXAMPLE_MCP_SERVER,
                "name": "Example MCP server",
                "type": "confidential",
                "secret_file": layout.example_client_secret(),
                "redirect_uris": ["http://127.0.0.1/callback"],
                "scopes": ["profile"],
            },
        ],
    });
    merge(&mut settings, patch);
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_stands_in_the_issuer_and_a_tests_patch_wins() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::create(folder.path().to_owned()).unwrap();
        let (places, _reservation) = Places::free(false).unwrap();
        let base = format!("http://{}/dev", places.gateway);
        let patch = json!({"tokens": {"access_token_seconds": 2}, "development": null});
        let settings = settings(&layout, &places, &base, &patch);
        assert_eq!(settings["issuer"], format!("http://{}/dev", places.gateway));
        assert_eq!(settings["resource"], format!("http://{}/dev/proxy/", places.gateway));
        assert_eq!(settings["tokens"]["access_token_seconds"], 2);
        assert_eq!(settings.get("development"), None);
        assert_eq!(settings["listen"]["internal"], places.service_internal.to_string());
    }
}
