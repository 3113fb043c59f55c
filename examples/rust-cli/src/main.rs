//! A command-line tool for IntelligenceBank: logs a person in by a loopback redirect (RFC 8252), keeps the
//! tokens in a file, and reads what it is told to.

mod callback;
mod oauth;
mod store;

use std::process::ExitCode;

use oauth::{Gateway, Tokens};
use store::Lock;

const USAGE: &str = "usage: ib-cli login | get PATH | logout
  login     log in in a browser; the tokens are kept for the next commands
  get PATH  read from the API, as in: ib-cli get 'folder.limit(0,5)?verbose'
  logout    end the grant, here and at the gateway
IB_GATEWAY (http://127.0.0.1:8080), CLIENT_ID (mcp-public-client) and IB_CLI_TOKENS (a file) may be set.";

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match *words {
        ["login"] => log_in(),
        ["get", path] => get(path),
        ["logout"] => log_out(),
        _ => Err(USAGE.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn log_in() -> Outcome<()> {
    let tokens = Gateway::from_environment()?.log_in()?;
    store::save(&Lock::wait()?, &tokens)?;
    println!("logged in at {}", tokens.platform_url);
    Ok(())
}

fn get(path: &str) -> Outcome<()> {
    let gateway = Gateway::from_environment()?;
    let mut tokens = store::load()?;
    let mut answer = gateway.get(&tokens, path)?;
    if answer.is_refused_token() {
        tokens = renew(&gateway, &tokens)?;
        answer = gateway.get(&tokens, path)?;
    }
    if !answer.status.is_success() {
        let hint = if answer.status == 401 { "\nlog in again: ib-cli login" } else { "" };
        return Err(format!("{} {}{hint}", answer.status, answer.body).into());
    }
    println!("{}", answer.body);
    Ok(())
}

/// Tokens in place of those that were used. A refresh token works once, so commands that run at the same time
/// share one refresh.
fn renew(gateway: &Gateway, used: &Tokens) -> Outcome<Tokens> {
    let lock = Lock::wait()?;
    let kept = store::load()?;
    if kept.access_token != used.access_token {
        return Ok(kept);
    }
    // The refresh token is spent now: what came for it is kept before anything else happens.
    let fresh = gateway.refresh(&kept)?;
    store::save(&lock, &fresh)?;
    Ok(fresh)
}

fn log_out() -> Outcome<()> {
    let lock = Lock::wait()?;
    Gateway::from_environment()?.log_out(&store::load()?)?;
    store::remove(&lock)?;
    println!("logged out");
    Ok(())
}
