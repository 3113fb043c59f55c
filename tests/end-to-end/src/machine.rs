//! Clients that act for themselves, and REI API CCA behind the gateway.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use ib_stack::StackOptions;

use crate::connection::Connection;
use crate::deployment::Deployment;
use crate::http::{Request, Response};
use crate::login::{PUBLIC_CLIENT, TEST_CLIENT};
use crate::random::unique_hex;
use crate::simulator::LoggedRequest;
use crate::transfer::sha256_hex;

/// The host of REI API CCA.
pub const REI_HOST: &str = "remax-cca.com";
/// The scope that chooses the credential of one brand.
pub const AZURA: &str = "upstream:remax-azura";
/// The same for another brand.
pub const BLUE_OCEAN: &str = "upstream:remax-blue-ocean";
/// Where keys are traded for a token.
pub const REI_TOKEN_PATH: &str = "/api/v1/oauth/token";
/// The client that may have a token for either brand.
const MACHINE_CLIENT: &str = "property-sync";

/// A gateway with machine credentials, and who may use and see to them.
pub struct Machines {
    /// The gateway.
    pub gateway: Deployment,
    client_secret: String,
    operator_credential: String,
    keys: Vec<String>,
    /// The service reads its secrets here, also when it starts again.
    _secrets: TempDir,
}

impl Machines {
    /// A stack of one's own whose clients may call REI API CCA; `more` is merged over the section
    /// `machine_credentials` of the service's settings, field by field, and `loud` over the options.
    /// `None` (and a word about it) when the tests run against a stack from outside.
    ///
    /// # Panics
    ///
    /// When the stack does not start.
    #[must_use]
    #[track_caller]
    pub fn start(more: &Value, loud: StackOptions) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).expect("a file of a secret");
            path
        };
        let (client_secret, operator_credential) = (unique_hex(24), unique_hex(24));
        let operator = file("operator", &operator_credential);
        let mut keys = Vec::new();
        let mut credentials = Vec::new();
        for brand in ["azura", "blue-ocean"] {
            let [api, integrator, secret] =
                ["api-key", "integrator", "secret-key"].map(|what| format!("demo-{brand}-{what}"));
            credentials.push(json!({
                "name": format!("remax-{brand}"),
                "api_url": format!("https://{REI_HOST}/api/v1"),
                "api_key_file": file(&format!("{brand}-1"), &api),
                "integrator_id_file": file(&format!("{brand}-2"), &integrator),
                "secret_key_file": file(&format!("{brand}-3"), &secret),
            }));
            keys.extend([api, integrator, secret]);
        }
        let mut section = json!({ "credentials": credentials });
        for (name, value) in more.as_object().into_iter().flatten() {
            section[name] = value.clone();
        }
        let mut settings = json!({
            "admin": { "credentials": [{ "file": operator }] },
            "clients": [
                {
                    "id": TEST_CLIENT, "name": "Test client", "type": "public",
                    "redirect_uris": ["http://127.0.0.1/callback"], "scopes": ["profile"],
                },
                {
                    "id": PUBLIC_CLIENT, "name": "Public client", "type": "public",
                    "redirect_uris": ["http://127.0.0.1/callback"], "scopes": ["profile"],
                },
                {
                    "id": MACHINE_CLIENT, "type": "confidential",
                    "grant_types": ["client_credentials"],
                    "secret_sha256": sha256_hex(client_secret.as_bytes()),
                    "scopes": [AZURA, BLUE_OCEAN],
                },
            ],
            "machine_credentials": section,
        });
        for (name, value) in loud.service_settings.as_object().into_iter().flatten() {
            settings[name] = value.clone();
        }
        let gateway = Deployment::own(StackOptions {
            service_settings: settings,
            plugin_configuration: json!({
                "allowed_hosts": ["*.intelligencebank.com", REI_HOST],
            }),
            ..loud
        })?;
        // Until it hears of revocations the gateway asks anew, which would hide what it hears later.
        gateway.await_feeds();
        Some(Self { gateway, client_secret, operator_credential, keys, _secrets: folder })
    }

    /// Asks for an access token as the client that acts for itself does.
    ///
    /// # Panics
    ///
    /// When there is no answer.
    #[must_use]
    #[track_caller]
    pub fn ask_for_token(&self, scope: &str) -> Response {
        let form = [("grant_type", "client_credentials"), ("scope", scope)];
        let path = self.gateway.path("/token");
        let credentials = format!("{MACHINE_CLIENT}:{}", self.client_secret);
        let credentials = STANDARD.encode(credentials);
        let request = Request::post_form(path, &form);
        self.gateway.send(&request.header("authorization", format!("Basic {credentials}")))
    }

    /// An access token of that client.
    ///
    /// # Panics
    ///
    /// When it gets none.
    #[must_use]
    #[track_caller]
    pub fn token(&self, scope: &str) -> String {
        let answer = self.ask_for_token(scope).with_status(200).json();
        answer["access_token"].as_str().expect("an access token").to_owned()
    }

    /// A call for the first two properties.
    #[must_use]
    pub fn properties(&self, token: &str) -> Request {
        let path = "/api/v1/GetProperties/take/2/skip/0";
        self.gateway.proxied_to(REI_HOST, "GET", path).bearer(token)
    }

    /// The requests that the token endpoint has got.
    ///
    /// # Panics
    ///
    /// When the control port does not answer.
    #[must_use]
    #[track_caller]
    pub fn token_requests(&self) -> Vec<LoggedRequest> {
        let mut requests = self.gateway.simulator().requests_since(0);
        requests.retain(|one| one.host == REI_HOST && one.raw_path == REI_TOKEN_PATH);
        requests
    }

    /// The tokens of the upstream that calls have gone with so far, in their order, each once.
    ///
    /// # Panics
    ///
    /// When the control port does not answer.
    #[must_use]
    #[track_caller]
    pub fn upstream_tokens(&self) -> Vec<String> {
        let mut tokens: Vec<String> = Vec::new();
        for request in self.gateway.simulator().requests_since(0) {
            let values = request.headers("authorization");
            let calls = values.iter().filter(|_| request.host == REI_HOST);
            for token in calls.filter_map(|value| value.strip_prefix("bearer ")) {
                if tokens.last().is_none_or(|last| last != token) {
                    tokens.push(token.to_owned());
                }
            }
        }
        tokens
    }

    /// Has the upstream reject one of its tokens from now on.
    ///
    /// # Panics
    ///
    /// When the simulator does not know it.
    #[track_caller]
    pub fn kill_upstream_token(&self, token: &str) {
        self.gateway.simulator().kill_rei_token(token);
    }

    /// How often a token was asked for, for this cause and with this result, by the service's count.
    ///
    /// # Panics
    ///
    /// When the service does not tell.
    #[must_use]
    #[track_caller]
    pub fn acquisitions(&self, cause: &str, result: &str) -> f64 {
        let labels = [("cause", cause), ("result", result)];
        self.gateway.service_metric("oauth_machine_credential_acquisitions_total", &labels)
    }

    /// What the service answers to an operator.
    ///
    /// # Panics
    ///
    /// When there is no answer.
    #[must_use]
    #[track_caller]
    pub fn as_operator(&self, request: Request) -> Response {
        let address = self.gateway.reach().service_internal;
        let request = request.bearer(&self.operator_credential);
        Connection::open(address)
            .and_then(|mut connection| connection.exchange(&request, &address.to_string()))
            .unwrap_or_else(|error| panic!("no answer for an operator: {error}"))
    }

    /// What nobody may see: keys, and what proves the client and the operator.
    #[must_use]
    pub fn secrets(&self) -> Vec<String> {
        let own = [self.client_secret.clone(), self.operator_credential.clone()];
        self.keys.iter().cloned().chain(own).collect()
    }
}
