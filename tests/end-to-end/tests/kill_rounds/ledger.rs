//! What a client has been given, and what it therefore may rely on.

use ib_end_to_end::{Grant as Tokens, Response, Verifier};

/// Whether something still stands. `Unsure`: it was to end, and the answer was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Alive,
    Unsure,
    Ended,
}

/// A login on its way to tokens.
#[derive(Debug)]
pub(crate) struct Login {
    pub(crate) verifier: Verifier,
    pub(crate) poll_token: String,
    /// What the simulator knows the login by.
    pub(crate) content: String,
    pub(crate) is_logged_in: bool,
    pub(crate) code: Option<String>,
    /// The code was sent and the answer lost: it may have been used, or not.
    pub(crate) is_unsure: bool,
}

/// An access token.
#[derive(Debug)]
pub(crate) struct Access {
    pub(crate) token: String,
    pub(crate) fate: Fate,
}

/// Everything that came of one code.
#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) code: String,
    pub(crate) verifier: Verifier,
    pub(crate) fate: Fate,
    pub(crate) access: Vec<Access>,
    /// The one to use next.
    pub(crate) refresh_token: String,
    /// It was sent and the answer lost: its successor may be there, or not.
    pub(crate) is_refresh_unsure: bool,
    pub(crate) spent: Vec<String>,
}

impl Family {
    pub(crate) fn new(code: String, verifier: Verifier, first: &Response, fate: Fate) -> Self {
        let tokens = Tokens::of(first);
        Self {
            code,
            verifier,
            fate,
            access: vec![Access { token: tokens.access_token, fate: Fate::Alive }],
            refresh_token: tokens.refresh_token,
            is_refresh_unsure: false,
            spent: Vec::new(),
        }
    }

    /// Notes the answer of a refresh.
    pub(crate) fn refreshed(&mut self, answer: &Response) {
        let tokens = Tokens::of(answer);
        self.access.push(Access { token: tokens.access_token, fate: Fate::Alive });
        self.spent.push(std::mem::replace(&mut self.refresh_token, tokens.refresh_token));
        self.is_refresh_unsure = false;
    }
}
