//! What was seeded, and the requests that use it up.

use std::{
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

use crate::error::{BenchError, Result, failed};

/// The verifier of RFC 7636, appendix B, whose challenge seeded codes have.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// Tokens and codes of the seeded grants.
#[derive(Debug)]
pub(super) struct Seeded {
    pub(super) access: Vec<String>,
    refresh: Vec<String>,
    codes: Vec<String>,
    next_refresh: AtomicUsize,
    next_code: AtomicUsize,
}

impl Seeded {
    /// Reads the files that the seeding wrote.
    pub(super) fn read(access: &Path, refresh: &Path, codes: &Path) -> Result<Self> {
        let lines = |file: &Path| -> Result<Vec<String>> {
            let text = std::fs::read_to_string(file).map_err(BenchError::file(file))?;
            Ok(text.lines().map(str::to_owned).collect())
        };
        Ok(Self {
            access: lines(access)?,
            refresh: lines(refresh)?,
            codes: lines(codes)?,
            next_refresh: AtomicUsize::new(0),
            next_code: AtomicUsize::new(0),
        })
    }

    /// A token of this number, in an order in which neighbours lie far apart in the store.
    pub(super) fn access(&self, number: usize) -> Result<&str> {
        // A large prime: the order meets every token before it meets one again.
        let position = number.wrapping_mul(982_451_653) % self.access.len().max(1);
        match self.access.get(position) {
            Some(token) => Ok(token),
            None => failed("there are no seeded tokens"),
        }
    }

    /// A request that trades a refresh token that nobody has used.
    pub(super) fn refresh(&self) -> Result<String> {
        let token = take(&self.refresh, &self.next_refresh)?;
        Ok(form(&format!(
            "grant_type=refresh_token&client_id=mcp-public-client&refresh_token={token}"
        )))
    }

    /// A request that trades a code that nobody has used.
    pub(super) fn exchange(&self) -> Result<String> {
        let code = take(&self.codes, &self.next_code)?;
        Ok(form(&format!(
            "grant_type=authorization_code&client_id=mcp-public-client&code={code}\
             &redirect_uri=http%3A%2F%2F127.0.0.1%2Fcallback&code_verifier={VERIFIER}"
        )))
    }
}

fn take<'s>(all: &'s [String], next: &AtomicUsize) -> Result<&'s str> {
    match all.get(next.fetch_add(1, Ordering::Relaxed)) {
        Some(one) => Ok(one),
        None => failed("the seeded tokens are used up: seed more with --grants"),
    }
}

fn form(body: &str) -> String {
    format!(
        "POST /token HTTP/1.1\r\nhost: service\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}
