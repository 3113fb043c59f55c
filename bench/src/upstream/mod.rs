//! The upstream, and the endpoints that `ext_authz` and Lua ask: a small HTTP/1.1 server in a process of
//! its own, which looks at every request and keeps a tally of what reached it.
//!
//! It is no general server: it reads heads, and passes over bodies of a known length.

mod adapter;
mod answers;
mod authorization;
mod tally;

use std::{
    cell::RefCell, collections::HashMap, io::Write as _, net::SocketAddr, path::PathBuf, rc::Rc,
};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    runtime::Builder,
};

use self::adapter::{Adapter, Introspector};
use self::answers::Answers;
use self::tally::Seen;
pub(crate) use self::tally::{Class, Tally};
use crate::error::{BenchError, Result, because};

/// The most headers and bytes of a head.
const MOST_HEADERS: usize = 64;
const LONGEST_HEAD: usize = 32 << 10;

/// How the process is started.
#[derive(Debug, clap::Args)]
pub(crate) struct UpstreamOptions {
    /// Where the upstream listens.
    #[arg(long)]
    pub(crate) upstream: SocketAddr,
    /// Where the tally can be taken.
    #[arg(long)]
    pub(crate) tally: SocketAddr,
    /// Where authorization is asked for, and looked up in the good tokens.
    #[arg(long)]
    pub(crate) authorization: SocketAddr,
    /// Where authorization is asked for, and the service asked on.
    #[arg(long, requires = "service")]
    pub(crate) adapter: Option<SocketAddr>,
    /// The internal port of the service.
    #[arg(long, requires = "credential")]
    pub(crate) service: Option<SocketAddr>,
    /// The file that holds the gateway's credential at the service.
    #[arg(long)]
    pub(crate) credential: Option<PathBuf>,
    /// The good tokens: lines of `<token> <session id>`.
    #[arg(long)]
    pub(crate) tokens: PathBuf,
}

/// Which of the four endpoints a connection speaks with.
#[derive(Clone, Copy)]
enum Role {
    Upstream,
    Tally,
    Authorization,
    Adapter,
}

struct Server {
    answers: Answers,
    tally: RefCell<Tally>,
    sessions: HashMap<String, String>,
    service: Option<Introspector>,
}

/// Serves until the process is ended.
pub(crate) fn serve(options: &UpstreamOptions) -> Result<()> {
    let lines =
        std::fs::read_to_string(&options.tokens).map_err(BenchError::file(&options.tokens))?;
    let sessions = lines.lines().filter_map(|line| {
        line.split_once(' ').map(|(token, sid)| (token.to_owned(), sid.to_owned()))
    });
    let service = match (options.service, &options.credential) {
        (Some(address), Some(file)) => {
            let credential = std::fs::read_to_string(file).map_err(BenchError::file(file))?;
            Some(Introspector { address, credential })
        }
        _ => None,
    };
    let server = Rc::new(Server {
        answers: Answers::new(),
        tally: RefCell::new(Tally::default()),
        sessions: sessions.collect(),
        service,
    });
    let runtime = Builder::new_current_thread().enable_io().build();
    let runtime = runtime.map_err(BenchError::io("the runtime"))?;
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async {
        let roles = [
            (Role::Upstream, options.upstream),
            (Role::Tally, options.tally),
            (Role::Authorization, options.authorization),
        ];
        let adapter = options.adapter.map(|address| (Role::Adapter, address));
        let mut listening = Vec::new();
        for (role, address) in roles.into_iter().chain(adapter) {
            let listener =
                TcpListener::bind(address).await.map_err(BenchError::io(address.to_string()))?;
            listening.push(tokio::task::spawn_local(accept(listener, role, Rc::clone(&server))));
        }
        for task in listening {
            task.await.map_err(because("a listener"))?;
        }
        Ok(())
    })
}

async fn accept(listener: TcpListener, role: Role, server: Rc<Server>) {
    // A connection that fails before it is accepted is the client's affair.
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            let _unset = stream.set_nodelay(true);
            tokio::task::spawn_local(connection(stream, role, Rc::clone(&server)));
        }
    }
}

async fn connection(mut stream: TcpStream, role: Role, server: Rc<Server>) {
    let mut buffer = Vec::with_capacity(LONGEST_HEAD);
    let mut answer = Vec::new();
    let mut adapter = server.service.as_ref().map(Adapter::of);
    loop {
        let bytes = match step(&server, role, &buffer, &mut answer) {
            Step::Answered { bytes } => bytes,
            Step::Asked { bytes, token } => {
                let Some(adapter) = &mut adapter else { return };
                // Without an answer of the service there is none about the token: Envoy refuses then.
                match adapter.session_of(&token).await {
                    Ok(sid) => authorization::write(sid.as_deref(), &mut answer),
                    Err(cause) => {
                        let _unheard = writeln!(std::io::stderr(), "the adapter: {cause}");
                        return;
                    }
                }
                bytes
            }
            Step::More if buffer.len() < LONGEST_HEAD => match stream.read_buf(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(_) => continue,
            },
            Step::More | Step::Broken => return,
        };
        buffer.drain(..bytes.min(buffer.len()));
        if stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

enum Step {
    /// The answer to the request that was in these first bytes.
    Answered { bytes: usize },
    /// The request in these first bytes asks for what the service must say about a token.
    Asked { bytes: usize, token: String },
    /// The request is not whole yet.
    More,
    /// This is no HTTP.
    Broken,
}

fn step(server: &Server, role: Role, buffer: &[u8], answer: &mut Vec<u8>) -> Step {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let head = match request.parse(buffer) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return Step::More,
        Err(_) => return Step::Broken,
    };
    let field = |wanted: &str| {
        request
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(wanted))
            .and_then(|header| std::str::from_utf8(header.value).ok())
    };
    let body = field("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let bytes = head + body;
    if buffer.len() < bytes {
        return Step::More;
    }
    let path = request.path.unwrap_or_default();
    answer.clear();
    match role {
        Role::Upstream => {
            let seen = Seen::of(path, &field);
            server.answers.write(path, field("sid").unwrap_or_default(), answer);
            server.tally.borrow_mut().count(seen);
        }
        Role::Tally => {
            let tally = std::mem::take(&mut *server.tally.borrow_mut());
            answers::write_json(&json!(tally), answer);
        }
        Role::Authorization => {
            let token = authorization::token(field("authorization"));
            let sid = token.and_then(|token| server.sessions.get(token));
            authorization::write(sid.map(String::as_str), answer);
        }
        Role::Adapter => match authorization::token(field("authorization")) {
            Some(token) => return Step::Asked { bytes, token: token.to_owned() },
            None => authorization::write(None, answer),
        },
    }
    Step::Answered { bytes }
}
