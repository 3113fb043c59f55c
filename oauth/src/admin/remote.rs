//! Asking a running service on its internal port, as an operator does from the command line.

use std::{path::PathBuf, time::Duration};

use reqwest::{Certificate, Client, Identity, Method, RequestBuilder, redirect};
use serde_json::Value;
use zeroize::Zeroizing;

use super::AdminError;

/// Longest wait for an answer. Revoking a page of grants writes each of them.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Longest answer that is read, in bytes.
const LONGEST_ANSWER: usize = 4 * 1024 * 1024;
/// How often the grants are gone through, while clients go on getting new ones.
const MOST_PASSES: usize = 20;

/// Where the service is, and how an operator proves who they are.
#[derive(Debug)]
pub struct Remote {
    /// The internal port, such as `http://127.0.0.1:8082`.
    pub url: String,
    /// The file that holds a credential of the setting `admin.credentials`.
    pub credential: PathBuf,
    /// Trusted besides the system's certificates, where the port speaks TLS.
    pub ca: Option<PathBuf>,
    /// Certificate and key of the operator in one PEM file, where the port asks for one.
    pub identity: Option<PathBuf>,
}

/// What grants are chosen by: a field of the service's administration interface and its value.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// `subject`, `client_id`, `platform`, or `grant` where one is revoked.
    pub field: &'static str,
    /// What must be there.
    pub value: String,
}

/// Lists the chosen grants; `line` hears each, as the JSON object that the service gave.
///
/// # Errors
///
/// [`AdminError`] with what the service said.
pub fn list_grants(
    remote: &Remote,
    chosen: &Chosen,
    mut line: impl FnMut(&Value),
) -> Result<(), AdminError> {
    super::block_on(async {
        let operator = Operator::new(remote)?;
        let mut after: Option<String> = None;
        loop {
            let mut query = vec![(chosen.field, chosen.value.as_str())];
            query.extend(after.as_deref().map(|after| ("after", after)));
            let request = operator.request(Method::GET, "/admin/grants", &query);
            let answer = ask(request).await?;
            let grants = answer.get("grants").and_then(Value::as_array);
            grants.ok_or_else(foreign)?.iter().for_each(&mut line);
            match next(&answer) {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    })
}

/// Revokes the chosen grants, however many there are, until none is left; `progress` hears how many so
/// far. Says how many.
///
/// # Errors
///
/// [`AdminError`] with what the service said, or where grants are made as fast as they are revoked. What
/// was revoked before stays so.
pub fn revoke_grants(
    remote: &Remote,
    chosen: &Chosen,
    mut progress: impl FnMut(u64),
) -> Result<u64, AdminError> {
    super::block_on(async {
        let operator = Operator::new(remote)?;
        let mut revoked = 0;
        // Pages come in the order of ids, which are random: one that was made meanwhile may stand before
        // the page that is revoked.
        for _ in 0..MOST_PASSES {
            let before = revoked;
            revoke_pass(&operator, chosen, &mut revoked, &mut progress).await?;
            if revoked == before {
                return Ok(revoked);
            }
        }
        Err(AdminError::Remote(format!(
            "{revoked} grants are revoked, and new ones are made all the time"
        )))
    })
}

/// Lists the machine credentials; `line` hears each, as the JSON object that the service gave.
///
/// # Errors
///
/// [`AdminError`] with what the service said.
pub fn list_credentials(remote: &Remote, line: impl FnMut(&Value)) -> Result<(), AdminError> {
    super::block_on(async {
        let operator = Operator::new(remote)?;
        let answer = ask(operator.request(Method::GET, "/admin/credentials", &[])).await?;
        let credentials = answer.get("credentials").and_then(Value::as_array);
        credentials.ok_or_else(foreign)?.iter().for_each(line);
        Ok(())
    })
}

/// Has the service acquire another token for the machine credential called `name`. Says how the
/// credential is then.
///
/// # Errors
///
/// [`AdminError`] with what the service said, such as that the upstream gives no token.
pub fn refresh_credential(remote: &Remote, name: &str) -> Result<Value, AdminError> {
    super::block_on(async {
        let operator = Operator::new(remote)?;
        let request = operator.request(Method::POST, "/admin/credentials/refresh", &[]);
        ask(request.form(&[("name", name)])).await
    })
}

/// Goes through the chosen grants once.
async fn revoke_pass(
    operator: &Operator,
    chosen: &Chosen,
    revoked: &mut u64,
    progress: &mut impl FnMut(u64),
) -> Result<(), AdminError> {
    let mut after = None;
    loop {
        let mut form = vec![(chosen.field, chosen.value.clone())];
        form.extend(after.take().map(|after| ("after", after)));
        let request = operator.request(Method::POST, "/admin/grants/revoke", &[]).form(&form);
        let answer = ask(request).await?;
        let more = answer.get("revoked").and_then(Value::as_u64).ok_or_else(foreign)?;
        *revoked = revoked.saturating_add(more);
        match next(&answer) {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
        progress(*revoked);
    }
}

/// For an answer that this service never gives. To count nothing in it would be to say that nothing is
/// left to be revoked.
fn foreign() -> AdminError {
    AdminError::Remote(
        "it answered what this service does not: is this its internal port?".to_owned(),
    )
}

fn next(answer: &Value) -> Option<String> {
    answer.get("next").and_then(Value::as_str).map(str::to_owned)
}

/// A client with the operator's credential.
struct Operator {
    http: Client,
    url: String,
    credential: Zeroizing<String>,
}

impl Operator {
    fn new(remote: &Remote) -> Result<Self, AdminError> {
        // Another provider may have been installed in this process already; either is fine.
        rustls::crypto::ring::default_provider().install_default().ok();
        let read = |path: &PathBuf| std::fs::read(path).map_err(AdminError::file(path));
        let unusable = |_| AdminError::Remote("the certificates cannot be used".to_owned());
        let credential = std::fs::read_to_string(&remote.credential)
            .map(Zeroizing::new)
            .map_err(AdminError::file(&remote.credential))?;
        let mut builder =
            Client::builder().no_proxy().redirect(redirect::Policy::none()).timeout(TIMEOUT);
        if let Some(path) = &remote.ca {
            let certificates = Certificate::from_pem_bundle(&read(path)?).map_err(unusable)?;
            builder = builder.tls_certs_merge(certificates);
        }
        if let Some(path) = &remote.identity {
            builder = builder.identity(Identity::from_pem(&read(path)?).map_err(unusable)?);
        }
        let http = builder.build().map_err(unusable)?;
        let url = remote.url.trim_end_matches('/').to_owned();
        Ok(Self { http, url, credential: Zeroizing::new(credential.trim().to_owned()) })
    }

    fn request(&self, method: Method, path: &str, query: &[(&str, &str)]) -> RequestBuilder {
        let query: String =
            form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        let url = format!("{}{path}?{query}", self.url);
        self.http.request(method, url.trim_end_matches('?')).bearer_auth(self.credential.as_str())
    }
}

/// Sends a request and reads what the service says.
async fn ask(request: RequestBuilder) -> Result<Value, AdminError> {
    // The causes of reqwest would quote the URL, with whom it is about.
    let unreachable = |cause: reqwest::Error| AdminError::Remote(cause.without_url().to_string());
    let mut response = request.send().await.map_err(unreachable)?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len().saturating_add(chunk.len()) > LONGEST_ANSWER {
            return Err(AdminError::Remote("its answer is too long".to_owned()));
        }
        body.extend_from_slice(&chunk);
    }
    let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
    if status.is_success() {
        return Ok(answer);
    }
    let said = answer.get("error_description").and_then(Value::as_str).unwrap_or("no reason");
    let hint = if status == reqwest::StatusCode::NOT_FOUND {
        "; is the name right, are there admin.credentials in its settings, and is this its internal port?"
    } else {
        ""
    };
    Err(AdminError::Remote(format!("it answered {status}: {said}{hint}")))
}

#[cfg(test)]
mod tests;
