//! A middleman between Envoy and the service's internal port: it writes down what the gateway asks, and
//! can hold an answer back.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use serde_json::{Value, json};

use crate::deadline::PATIENCE;

/// The middleman. Its threads end with the connections, and with the test's process at the latest.
#[derive(Clone)]
pub struct Recorder {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    service: Option<SocketAddr>,
    /// Requests as they came, one text for each piece that was read.
    recorded: Vec<String>,
    /// Answers to requests whose target begins so wait.
    held: Option<String>,
    /// How many of them wait now.
    waiting: usize,
}

impl Recorder {
    /// Listens on a free port of 127.0.0.1 and takes nothing until it knows where to.
    ///
    /// # Panics
    ///
    /// When there is no port.
    #[must_use]
    pub fn listen() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&own);
                // A connection before the service is known is closed: the gateway tries again.
                thread::spawn(move || shared.relay(&connection));
            }
        });
        Self { address, shared }
    }

    /// What makes Envoy's cluster of the service's internal port lead here.
    #[must_use]
    pub fn envoy_patch(&self) -> Vec<Value> {
        let cluster = "/static_resources/clusters/1";
        let endpoint = "load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address";
        vec![
            json!({ "op": "test", "path": format!("{cluster}/name"), "value": "token_service" }),
            json!({
                "op": "replace", "path": format!("{cluster}/{endpoint}"),
                "value": { "address": self.address.ip().to_string(), "port_value": self.address.port() },
            }),
        ]
    }

    /// From now on connections lead to the service.
    pub fn forward_to(&self, service: SocketAddr) {
        self.shared.state().service = Some(service);
    }

    /// The requests so far that hold `part`, as they came on the wire.
    #[must_use]
    pub fn requests_with(&self, part: &str) -> Vec<String> {
        let state = self.shared.state();
        state.recorded.iter().filter(|text| text.contains(part)).cloned().collect()
    }

    /// Holds answers to requests whose target begins with `target`, until [`Recorder::release`].
    pub fn hold(&self, target: &str) {
        self.shared.state().held = Some(target.to_owned());
    }

    /// How many answers are held now.
    #[must_use]
    pub fn holding(&self) -> usize {
        self.shared.state().waiting
    }

    /// Lets the held answers go, and those that come later.
    pub fn release(&self) {
        self.shared.state().held = None;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn relay(self: Arc<Self>, gateway: &TcpStream) {
        let Some(service) =
            self.state().service.and_then(|address| TcpStream::connect(address).ok())
        else {
            return;
        };
        let target = Arc::new(Mutex::new(String::new()));
        let asking = {
            let (shared, target) = (Arc::clone(&self), Arc::clone(&target));
            let ends = gateway.try_clone().and_then(|from| Ok((from, service.try_clone()?)));
            thread::spawn(move || {
                let Ok((from, to)) = ends else { return };
                copy(from, to, |text| shared.note(text, &target));
            })
        };
        let ends = service.try_clone().and_then(|from| Ok((from, gateway.try_clone()?)));
        if let Ok((from, to)) = ends {
            copy(from, to, |_| self.wait(&target));
        }
        let _ = asking.join();
    }

    fn note(&self, text: &str, target: &Mutex<String>) {
        if let Some(asked) = text.split(' ').nth(1).filter(|asked| asked.starts_with('/')) {
            asked.clone_into(&mut target.lock().unwrap_or_else(PoisonError::into_inner));
        }
        self.state().recorded.push(text.to_owned());
    }

    fn wait(&self, target: &Mutex<String>) {
        let target = target.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let is_held = |state: &mut State| {
            state.held.as_ref().is_some_and(|held| target.starts_with(held.as_str()))
        };
        let mut state = self.state();
        if is_held(&mut state) {
            state.waiting += 1;
            let waited = self.changed.wait_timeout_while(state, PATIENCE, is_held);
            let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
        }
    }
}

/// Copies bytes until either side ends, showing each piece before it goes on.
fn copy(mut from: TcpStream, mut to: TcpStream, mut show: impl FnMut(&str)) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        let Some(piece) = bytes.get(..count) else { break };
        show(&String::from_utf8_lossy(piece));
        if to.write_all(piece).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}
