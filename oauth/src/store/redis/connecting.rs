//! How the server is reached: one connection that many commands share, made again when it breaks.

use std::time::Duration;

use ::redis::{
    Client, ConnectionAddr, IntoConnectionInfo as _, RedisConnectionInfo, RedisResult,
    TlsCertificates,
    aio::{ConnectionManager, ConnectionManagerConfig},
    io::tcp::TcpSettings,
};

use crate::settings::RedisSettings;

/// Longest pause between two attempts to connect.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

pub(super) struct Connecting {
    client: Client,
    config: ConnectionManagerConfig,
}

impl Connecting {
    pub(super) fn new(settings: &RedisSettings) -> RedisResult<Self> {
        let address = if settings.tls {
            ConnectionAddr::TcpTls {
                host: settings.host.clone(),
                port: settings.port,
                insecure: false,
                tls_params: None,
            }
        } else {
            ConnectionAddr::Tcp(settings.host.clone(), settings.port)
        };
        let mut redis =
            RedisConnectionInfo::default().set_db(settings.database).set_skip_set_lib_name();
        if let Some(username) = &settings.username {
            redis = redis.set_username(username);
        }
        if let Some(password) = &settings.password {
            redis = redis.set_password(password.expose());
        }
        let bounds = settings.bounds;
        // A peer that has vanished without a word is noticed when nothing is acknowledged.
        let tcp = TcpSettings::default().set_nodelay(true).set_user_timeout(bounds.command_timeout);
        let info = address.into_connection_info()?.set_tcp_settings(tcp).set_redis_settings(redis);
        let client = match &settings.ca_pem {
            Some(pem) if settings.tls => {
                let root_cert = Some(pem.clone());
                Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert })?
            }
            _ => Client::open(info)?,
        };
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(bounds.connect_timeout))
            .set_response_timeout(Some(bounds.command_timeout))
            .set_number_of_retries(1)
            .set_max_delay(LONGEST_PAUSE);
        Ok(Self { client, config })
    }

    /// A connection that is made when it is first used.
    pub(super) fn manager(&self) -> RedisResult<ConnectionManager> {
        self.client.get_connection_manager_lazy(self.config.clone())
    }
}
