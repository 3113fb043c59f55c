//! The plugin: on hits by default and with each feature on or off, on misses and on refusals.

use serde_json::{Value, json};

use super::{Asks, Chain, Group, Load, Outcome, SERVICE, Variant};
use crate::{
    bootstrap::{Route, manager},
    error::Result,
    stage::Stage,
    traffic::Body,
    upstream::Class,
};

/// Counters of the plugin, as Envoy's admin interface shows them.
const HIT: Option<&str> = Some("ib_gateway.cache.result.hit");
const MISS: Option<&str> = Some("ib_gateway.cache.result.miss");
const REFUSED: Option<&str> = Some("ib_gateway.cache.result.refused");
const FOREIGN: Option<&str> = Some("ib_gateway.cache.result.foreign");

pub(super) fn variants() -> Vec<Variant> {
    let hit = |name, title, manager: Chain| Variant {
        name,
        title,
        group: Group::Ours,
        body: Body::Small,
        load: Load::Good,
        outcome: Outcome::Passed(Class::REWRITTEN),
        counter: HIT,
        asks: Asks::Never,
        needs_service: true,
        manager,
    };
    let refusal = |name, title, load, counter| Variant {
        load,
        outcome: Outcome::Refused,
        counter,
        ..hit(name, title, default_chain)
    };
    vec![
        hit("hit", "the plugin, hit, by default: bodies redacted, locked route", default_chain),
        hit("hit-pass", "hit, bodies passed on as they are", pass_chain),
        hit("hit-gate", "hit, and the RBAC gate behind it", gate_chain),
        hit("hit-notes", "hit, and a note in filter state for the access log", notes_chain),
        hit("hit-named", "hit, and callers named for rate limits", named_chain),
        hit("hit-rules", "hit, and ten rules for scopes", rules_chain),
        hit(
            "hit-production",
            "hit, the whole chain of envoy.yaml: cors, limits, compressor, gate, access log",
            |stage| stage.production.whole(&stage.plugin),
        ),
        hit(
            "hit-unlimited",
            "hit-production without limits by address, user and client",
            |stage| stage.production.whole_without_limits(&stage.plugin),
        ),
        Variant {
            body: Body::SmallWithSid,
            ..hit("hit-1k-sids", "hit, session ids to mask in 1 kB", default_chain)
        },
        Variant {
            body: Body::Large,
            ..hit("hit-64k", "hit, session ids to mask in 64 KiB", default_chain)
        },
        Variant {
            body: Body::Large,
            ..hit("hit-64k-pass", "hit, 64 KiB passed on as they are", pass_chain)
        },
        Variant {
            load: Load::Fresh,
            counter: MISS,
            asks: Asks::Always(SERVICE),
            ..hit("miss", "miss: one introspection for each request", default_chain)
        },
        refusal("forged", "refusal: a wrong tag", Load::Forged, FOREIGN),
        refusal(
            "refused",
            "refusal: a token that the service refused, cached",
            Load::Unknown,
            REFUSED,
        ),
        refusal("missing", "refusal: no token", Load::Missing, None),
    ]
}

fn default_chain(stage: &Stage) -> Result<Value> {
    chain(stage, &json!({}), false)
}

fn pass_chain(stage: &Stage) -> Result<Value> {
    chain(stage, &json!({ "session_ids_in_bodies": "pass" }), false)
}

fn notes_chain(stage: &Stage) -> Result<Value> {
    chain(stage, &json!({ "stream_notes": "all" }), false)
}

fn named_chain(stage: &Stage) -> Result<Value> {
    chain(stage, &json!({ "caller_headers": "set" }), false)
}

fn gate_chain(stage: &Stage) -> Result<Value> {
    chain(stage, &json!({}), true)
}

/// Nine rules that do not fit the request, then one that does.
fn rules_chain(stage: &Stage) -> Result<Value> {
    let rule = |path: String| {
        json!({
            "hosts": ["*.intelligencebank.com"], "methods": ["GET"], "path_prefixes": [path],
            "scope": "profile",
        })
    };
    let mut rules: Vec<Value> = (0..9).map(|number| rule(format!("/api/{number}.9"))).collect();
    rules.push(rule("/api/3.0.0".to_owned()));
    chain(stage, &json!({ "rules": rules }), false)
}

/// The plugin with the configuration of `envoy.yaml` and `patch` over it. `caller_headers` stays at its
/// default unless `patch` sets it: `hit-named` measures it.
fn chain(stage: &Stage, patch: &Value, has_gate: bool) -> Result<Value> {
    let mut configuration = patch.clone();
    if let Value::Object(fields) = &mut configuration {
        fields.entry("caller_headers").or_insert(Value::Null);
    }
    let mut filters = vec![stage.production.plugin(&stage.plugin, &configuration)?];
    if has_gate {
        filters.push(stage.production.filter("gate")?);
    }
    Ok(manager(filters, &Route::Locked(stage.production.lock()?)))
}
