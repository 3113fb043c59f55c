//! The files of a stack whose parts run in containers (`docker-compose.yml`): each part has a folder of its
//! own, which becomes a volume that nobody else sees.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use reqwest::Url;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::secrets::{keep_or_make, write_private};
use super::stage::Stage;
use super::{envoy, secrets, service, values, write};
use crate::running::layout::Layout;
use crate::running::places::Places;
use crate::{StackError, StackOptions};

/// The name by which every instance of the service is found.
const SERVICE: &str = "service";
/// Docker's own name server, the same in every container.
const NAME_SERVER: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(127, 0, 0, 11)), 53);
/// The volume of the embedded store.
const STORE: &str = "/var/lib/ib-oauth/oauth.redb";
const REDIS: &str = "redis:6379";
const REDIS_USER: &str = "ib-oauth";
/// What every key of the service begins with in Redis, in the braces of a hash tag.
const REDIS_PREFIX: &str = "main";
/// What the service needs of Redis (docs/stores.md), and nothing else.
const REDIS_COMMANDS: &str = "+mget +get +set +getrange +del +zadd +zrem +zrange +zrangebyscore \
     +zrangebylex +expire +persist +eval +evalsha +script|load +scan +info +hello +auth +select +ping";

/// What may differ between two such stacks.
#[derive(Debug)]
pub struct Containers {
    /// Where the folders `service`, `envoy`, `simulator`, `redis` and `grafana` are, here and in every container.
    pub folder: PathBuf,
    /// The folder with the production file of Envoy and its overlays.
    pub envoy_folder: PathBuf,
    /// What clients put before a path: scheme, host, port, and a stage as its path.
    pub gateway_url: String,
    /// Envoy's admin interface, within its container.
    pub envoy_admin: SocketAddr,
    /// Whether the instances of the service share Redis, in place of one instance with a file.
    pub redis: bool,
}

impl Containers {
    /// Writes every file; secrets that are there already stay.
    ///
    /// # Errors
    ///
    /// When an option cannot be used or a file cannot be read or written.
    pub fn write(&self) -> Result<(), StackError> {
        let url = Url::parse(&self.gateway_url)
            .map_err(|error| StackError::configuration("the gateway's URL", error))?;
        let host = url.host_str().filter(|_| matches!(url.scheme(), "http" | "https"));
        let host = host.ok_or_else(|| {
            StackError::configuration("the gateway's URL", "it is no http or https URL with a host")
        })?;
        let stage = Stage::new(Some(url.path().trim_end_matches('/')))?;
        let origin = url.origin().ascii_serialization();

        let service = Layout::create(self.folder.join("service"))?;
        let gateway = Layout::create(self.folder.join("envoy"))?;
        secrets::prepare(&service)?;
        // The one secret that both have; the keys stay with the service.
        let credential = read(&service.gateway_authorization())?;
        write_private(&gateway.gateway_authorization(), &credential)?;
        let redis_password = self.folder.join("service/secrets/redis-password");
        keep_or_make(&redis_password)?;
        self.write_redis(&read(&redis_password)?)?;
        create_folder(&self.folder.join("grafana"))?;
        keep_or_make(&self.folder.join("grafana/admin-password"))?;

        let base = format!("{origin}{}", stage.as_str());
        let patch = self.service_patch(&redis_password);
        let settings = service::settings(&service, &self.places(), &base, &patch);
        let settings = serde_saphyr::to_string(&settings)
            .map_err(|error| StackError::configuration("oauth.yaml", error))?;
        write(&service.service_settings(), settings.as_bytes())?;

        let mut values = values::of_stack(&gateway, &self.places(), url.scheme(), NAME_SERVER);
        values.extend([
            ("gateway_url", json!(origin)),
            ("gateway_host", json!(host)),
            ("service_public_address", json!(SERVICE)),
            ("service_internal_address", json!(SERVICE)),
            ("ca_file", json!(self.ca_file())),
        ]);
        let overlays = [envoy::DEVELOPMENT_FILE, envoy::CONTAINERS_FILE, envoy::CALLOUT_RETRY_FILE];
        let options = StackOptions::default();
        let bootstrap = envoy::bootstrap(&self.envoy_folder, &overlays, &values, &stage, &options)?;
        let text = serde_json::to_vec_pretty(&bootstrap)
            .map_err(|error| StackError::configuration("envoy.json", error))?;
        write(&gateway.envoy_bootstrap(), &text)
    }

    /// Where the parts listen, each on all addresses of its container. Which of these ports are reached from
    /// where is for the networks to say.
    fn places(&self) -> Places {
        let at = |port: u16| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        Places {
            gateway: at(8080),
            envoy_admin: self.envoy_admin,
            envoy_stats: at(9902),
            service_public: at(8081),
            service_internal: at(8082),
            simulator_control: at(8444),
            simulator_tls: at(443),
        }
    }

    fn ca_file(&self) -> PathBuf {
        self.folder.join("simulator/ca.pem")
    }

    /// What differs from the settings of a stack on one host.
    fn service_patch(&self, redis_password: &Path) -> Value {
        let store = if self.redis {
            json!({
                "engine": "redis",
                "path": null,
                "address": REDIS,
                "prefix": REDIS_PREFIX,
                "username": REDIS_USER,
                "password_file": redis_password,
                // Nobody else is on the network that the two share.
                "tls": false,
            })
        } else {
            json!({ "path": STORE })
        };
        // An instance that is to stop says so for longer than Envoy takes to hear it.
        let drain_seconds = if self.redis { 5 } else { 0 };
        json!({
            "store": store,
            "server": { "drain_seconds": drain_seconds },
            "intelligencebank": { "extra_ca_file": self.ca_file() },
            // The names lead to the simulator by the aliases of its container.
            "development": { "resolve": null },
        })
    }

    /// Redis' users: the service, and whoever asks whether Redis is alive.
    fn write_redis(&self, password: &str) -> Result<(), StackError> {
        let folder = self.folder.join("redis");
        create_folder(&folder)?;
        let digest: String =
            Sha256::digest(password).iter().map(|byte| format!("{byte:02x}")).collect();
        let users = format!(
            "user default on nopass -@all +ping\n\
             user {REDIS_USER} on #{digest} ~{{{REDIS_PREFIX}}}:* -@all {REDIS_COMMANDS}\n"
        );
        write_private(&folder.join("users.acl"), &users)
    }
}

fn create_folder(folder: &Path) -> Result<(), StackError> {
    std::fs::create_dir_all(folder).map_err(StackError::io(folder.display().to_string()))
}

fn read(path: &Path) -> Result<String, StackError> {
    std::fs::read_to_string(path).map_err(StackError::io(path.display().to_string()))
}

#[cfg(test)]
mod tests;
