//! What is compared: each variant with how Envoy is set up for it, what it is asked, and what must come
//! of it.

mod ours;
mod peers;

use serde_json::Value;

use crate::{error::Result, stage::Stage, traffic::Body, upstream::Class};

/// The name of the run that the others are compared with.
pub(crate) const PLAIN: &str = "plain";

/// Envoy's name for the cluster of the service's internal port.
pub(crate) const SERVICE: &str = "token_service";

/// One thing that is measured.
pub(crate) struct Variant {
    /// Its name, as on the command line.
    pub(crate) name: &'static str,
    /// What it is, for the table.
    pub(crate) title: &'static str,
    /// Whose it is.
    pub(crate) group: Group,
    /// The answers' size; the variant is compared with plain Envoy and the same answers.
    pub(crate) body: Body,
    /// Whose tokens the requests carry.
    pub(crate) load: Load,
    /// What must come of every request.
    pub(crate) outcome: Outcome,
    /// A counter of Envoy's or the plugin's that nearly every request must have raised.
    pub(crate) counter: Option<&'static str>,
    /// How often somebody else is asked.
    pub(crate) asks: Asks,
    /// Whether the real service must run.
    pub(crate) needs_service: bool,
    /// The connection manager.
    pub(crate) manager: Chain,
}

/// Makes a connection manager.
pub(crate) type Chain = fn(&Stage) -> Result<Value>;

/// How the table is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    /// Envoy alone.
    Plain,
    /// What else there is.
    Peer,
    /// The gateway's plugin.
    Ours,
}

/// The tokens of a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    /// A hundred good tokens.
    Good,
    /// A hundred good signed tokens.
    Signed,
    /// Good tokens, each for one request.
    Fresh,
    /// A hundred tokens with a wrong tag.
    Forged,
    /// A hundred tokens with the right tag that the service does not know.
    Unknown,
    /// No token.
    Missing,
}

/// What must come of every request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Outcome {
    /// 200, and the upstream sees it like this.
    Passed(Class),
    /// 401, and the upstream sees nothing of it.
    Refused,
}

/// How often a variant asks somebody about a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asks {
    /// Not at all, or once a token.
    Never,
    /// On each request, and this cluster of Envoy's.
    Always(&'static str),
}

/// Every variant, in the table's order.
pub(crate) fn all() -> Vec<Variant> {
    let mut all = peers::variants();
    all.extend(ours::variants());
    all
}
