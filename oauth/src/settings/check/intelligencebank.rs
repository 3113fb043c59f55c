//! Checking where IntelligenceBank is, and how it is asked.

use super::{Problems, file, hosts};
use crate::{
    hosts::{HostList, is_host},
    settings::{IntelligenceBankSettings, UpstreamBounds},
};

pub(super) fn check(
    file: file::IntelligenceBank,
    development: Option<file::Development>,
    found: &mut Problems,
) -> IntelligenceBankSettings {
    let development = development.unwrap_or_default();
    let platform = hosts("intelligencebank.platform_hosts", &file.platform_hosts, found);
    let mut api = hosts("intelligencebank.api_hosts", &file.api_hosts, found);
    if platform.is_empty() {
        found.add("intelligencebank.platform_hosts", "needs at least one host");
    }
    api.extend(platform.iter().cloned());
    let extra_ca_pem = file.extra_ca_file.and_then(|path| match std::fs::read(&path) {
        Ok(pem) if crate::upstreams::holds_certificates(&pem) => Some(pem),
        Ok(_) => {
            let reason = format!("{} holds no PEM certificate", path.display());
            found.add("intelligencebank.extra_ca_file", reason);
            None
        }
        Err(cause) => {
            let reason = format!("{} cannot be read: {cause}", path.display());
            found.add("intelligencebank.extra_ca_file", reason);
            None
        }
    });
    for host in development.resolve.keys().filter(|host| !is_host(host)) {
        found.add(format!("development.resolve.{host}"), "must be a lower-case host name");
    }
    IntelligenceBankSettings {
        platform_hosts: HostList::new(platform),
        api_hosts: HostList::new(api),
        extra_ca_pem,
        connect_timeout: found.milliseconds(
            "intelligencebank.connect_timeout_milliseconds",
            file.connect_timeout_milliseconds,
            1..=60_000,
        ),
        request_timeout: found.milliseconds(
            "intelligencebank.request_timeout_milliseconds",
            file.request_timeout_milliseconds,
            1..=60_000,
        ),
        maximum_response_bytes: found.bytes(
            "intelligencebank.maximum_response_bytes",
            file.maximum_response_bytes,
            1_024..=16 * 1024 * 1024,
        ),
        login_deadline_seconds: found.range(
            "intelligencebank.login_deadline_seconds",
            file.login_deadline_seconds,
            10..=600,
        ),
        poll_interval: found.milliseconds(
            "intelligencebank.poll_interval_milliseconds",
            file.poll_interval_milliseconds,
            0..=10_000,
        ),
        propagate_trace: file.propagate_trace,
        logout_path: file.logout_path.inspect(|path| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
            if !path.starts_with('/') || !path.bytes().all(plain) || path.contains("..") {
                let reason = "must begin with `/` and hold letters, digits and -._~/ alone";
                found.add("intelligencebank.logout_path", reason);
            }
        }),
        bounds: UpstreamBounds {
            concurrent: found.bytes(
                "intelligencebank.maximum_concurrent",
                file.maximum_concurrent,
                1..=10_000,
            ),
            concurrent_per_platform: found.bytes(
                "intelligencebank.maximum_concurrent_per_platform",
                file.maximum_concurrent_per_platform,
                1..=10_000,
            ),
            failures: found.range(
                "intelligencebank.circuit_failures",
                file.circuit_failures,
                1..=1_000,
            ),
            open: found.seconds(
                "intelligencebank.circuit_open_seconds",
                file.circuit_open_seconds,
                1..=300,
            ),
        },
        allow_private_addresses: development.allow_private_addresses,
        resolve: development.resolve,
    }
}
