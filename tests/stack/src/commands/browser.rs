//! `ib-stack browser`: Chromium as a person would use it, were the simulator the real thing.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::tls::TlsInfo;
use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;
use sha2::{Digest, Sha256};
use tokio::process::Command;

use super::arguments::BrowserArguments;
use super::callback::Callback;
use super::console::line;
use super::oauth_client::{Login, send};
use super::state::StackState;
use crate::StackError;
use crate::running::dns::SIMULATED_HOSTS;

const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// Prints Chromium's command line and runs it, until its window or this command is closed. A login
/// that the person completes is redeemed, and one proxied call is printed.
///
/// # Errors
///
/// When no stack is up, there is no Chromium or it cannot be started.
pub async fn browse(arguments: BrowserArguments) -> Result<(), StackError> {
    let state = StackState::read(&arguments.run.run_directory)
        .filter(|state| state.ready && state.launcher.lives())
        .ok_or(StackError::NotPrepared {
            what: "a running stack".to_owned(),
            hint: "start one first: make up",
        })?;
    let callback = Callback::bind().await?;
    let login = Login::new(&state.base_url, &state.addresses, callback.redirect_uri())?;
    let program = arguments.chromium.clone().or_else(find).ok_or(StackError::NotPrepared {
        what: "Chromium".to_owned(),
        hint: "install it (Debian: apt-get install chromium) or set CHROMIUM to its path",
    })?;
    let mut words = vec![
        // A profile of its own: nothing of the person's is read, and Chromium accepts the list of
        // keys below only with one.
        format!("--user-data-dir={}", state.addresses.run_directory.join("browser").display()),
        format!("--host-resolver-rules={}", resolver_rules(&state)),
        format!("--ignore-certificate-errors-spki-list={}", trusted_keys(&login).await?),
        "--no-first-run".to_owned(),
        "--no-default-browser-check".to_owned(),
    ];
    if rustix::process::geteuid().is_root() {
        // Chromium refuses to run as root within its sandbox.
        words.push("--no-sandbox".to_owned());
    }
    words.extend(arguments.more);
    words.push(login.authorize_url()?.into());
    line(command_line(&program, &words));
    let headless = words.iter().any(|word| word.starts_with("--headless"));
    if !headless
        && ["DISPLAY", "WAYLAND_DISPLAY"].iter().all(|name| std::env::var_os(name).is_none())
    {
        return Err(StackError::NotPrepared {
            what: "a display".to_owned(),
            hint: "neither DISPLAY nor WAYLAND_DISPLAY is set; use this where a person sits, \
                   or add `-- --headless=new --remote-debugging-port=9222`",
        });
    }

    let mut browser = Command::new(&program)
        .args(&words)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(StackError::io(program.display().to_string()))?;
    tokio::select! {
        outcome = callback.serve(&login) => outcome,
        status = browser.wait() => match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(StackError::configuration(program.display().to_string(), status)),
            Err(source) => Err(StackError::Io { what: program.display().to_string(), source }),
        },
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .flat_map(|folder| NAMES.map(|name| folder.join(name)))
        .find(|candidate| candidate.is_file())
}

fn resolver_rules(state: &StackState) -> String {
    SIMULATED_HOSTS.map(|host| format!("MAP {host} {}", state.addresses.simulator_tls)).join(",")
}

/// The SHA-256 of each simulated host's public key (RFC 7469 section 2.4), from connections that were
/// checked against the simulator's CA.
async fn trusted_keys(login: &Login) -> Result<String, StackError> {
    let mut keys = Vec::new();
    for host in SIMULATED_HOSTS {
        let url = format!("https://{host}/");
        let response = send(&url, login.client().get(&url)).await?;
        let refuse = |reason: &str| StackError::exchange(&url, reason);
        let certificate = response
            .extensions()
            .get::<TlsInfo>()
            .and_then(TlsInfo::peer_certificate)
            .ok_or_else(|| refuse("it showed no certificate"))?;
        let key = ParsedCertificate::try_from(&CertificateDer::from(certificate))
            .map_err(|error| refuse(&error.to_string()))?
            .subject_public_key_info();
        keys.push(STANDARD.encode(Sha256::digest(&key)));
    }
    keys.sort();
    keys.dedup();
    Ok(keys.join(","))
}

/// A command line that a shell reads as the same words.
fn command_line(program: &Path, words: &[String]) -> String {
    let mut line = program.display().to_string();
    for word in words {
        line.push_str(&format!(" '{}'", word.replace('\'', r"'\''")));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_printed_command_line_can_be_pasted_into_a_shell() {
        let words = ["it's".to_owned(), "a b&c".to_owned()];
        let output = std::process::Command::new("sh")
            .args(["-c", &command_line(Path::new("printf '%s\\n'"), &words)])
            .output()
            .unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "it's\na b&c\n");
    }
}
