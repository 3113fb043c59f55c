//! The connections of one client: to the service's two ports and to the simulator's control port. An
//! answer may be lost only when the service was killed.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use ib_end_to_end::{Connection, LOOPBACK_REDIRECT, PUBLIC_CLIENT, Reach, Request, Response};
use serde_json::Value;

/// A round's connections.
pub(crate) struct Lines<'a> {
    reach: &'a Reach,
    credential: String,
    /// Set before the service is killed.
    killed: &'a AtomicBool,
    public: Option<Connection>,
    internal: Option<Connection>,
    control: Option<Connection>,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(reach: &'a Reach, killed: &'a AtomicBool) -> Self {
        let credential = fs::read_to_string(&reach.gateway_credential_file).expect("a credential");
        let credential = credential.trim().to_owned();
        Self { reach, credential, killed, public: None, internal: None, control: None }
    }

    /// A request to the public port. `None`: the answer was lost in the kill.
    pub(crate) fn public(&mut self, request: &Request) -> Option<Response> {
        let answer = exchange(&mut self.public, self.reach.service_public, request);
        self.unless_lost(answer)
    }

    /// A token request of the public client.
    pub(crate) fn token(&mut self, fields: &[(&str, &str)]) -> Option<Response> {
        self.public(&token_request(fields))
    }

    /// The same token request on two connections at once.
    pub(crate) fn race(&mut self, fields: &[(&str, &str)]) -> [Option<Response>; 2] {
        let request = token_request(fields);
        let address = self.reach.service_public;
        let bytes = request.to_bytes(&address.to_string());
        let begun = [(); 2].map(|()| {
            let mut connection = Connection::open(address)?;
            connection.write(&bytes).map(|()| connection)
        });
        begun.map(|connection| {
            let answer = connection.and_then(|mut begun| begun.read_response(request.method()));
            self.unless_lost(answer)
        })
    }

    /// Whether an access token is good, by the gateway's own question.
    pub(crate) fn is_active(&mut self, token: &str) -> Option<bool> {
        let request = Request::post_form("/introspect", &[("token", token)]);
        let answer = self.internal(request)?.with_status(200).json();
        Some(answer["active"].as_bool().expect("`active` is true or false"))
    }

    /// The revocation feed after an event.
    pub(crate) fn feed(&mut self, after: Option<u64>) -> Option<Value> {
        let query = after.map(|after| format!("?after={after}")).unwrap_or_default();
        let answer = self.internal(Request::get(format!("/revocations{query}")))?;
        Some(answer.with_status(200).json())
    }

    /// The person logs in at the simulator, which nobody kills.
    pub(crate) fn log_in(&mut self, content: &str) {
        let request = Request::new("POST", format!("/logins/{content}/complete"))
            .header("content-type", "application/json")
            .body(r#"{"user":"ada"}"#);
        let answer = exchange(&mut self.control, self.reach.simulator_control, &request);
        answer.expect("the simulator answers").with_status(200);
    }

    fn internal(&mut self, request: Request) -> Option<Response> {
        let request = request.bearer(&self.credential);
        let answer = exchange(&mut self.internal, self.reach.service_internal, &request);
        self.unless_lost(answer)
    }

    fn unless_lost(&self, answer: io::Result<Response>) -> Option<Response> {
        match answer {
            Ok(answer) => Some(answer),
            Err(_) if self.killed.load(Ordering::SeqCst) => None,
            Err(error) => panic!("the service gave no answer, and nobody has killed it: {error}"),
        }
    }
}

/// On the connection that is there, or a new one. One that failed is not used again.
fn exchange(
    line: &mut Option<Connection>,
    address: SocketAddr,
    request: &Request,
) -> io::Result<Response> {
    let mut connection = match line.take() {
        Some(connection) => connection,
        None => Connection::open(address)?,
    };
    let answer = connection.exchange(request, &address.to_string())?;
    if !answer.list("connection").contains(&"close".to_owned()) {
        *line = Some(connection);
    }
    Ok(answer)
}

fn token_request(fields: &[(&str, &str)]) -> Request {
    let mut all = vec![("client_id", PUBLIC_CLIENT)];
    all.extend_from_slice(fields);
    if fields.contains(&("grant_type", "authorization_code")) {
        all.push(("redirect_uri", LOOPBACK_REDIRECT));
    }
    Request::post_form("/token", &all)
}
