//! Plain Envoy, and what a platform team would use instead of the plugin.

use super::{Asks, Chain, Group, Load, Outcome, PLAIN, SERVICE, Variant};
use crate::{
    bootstrap::{Route, ext_authz, header_mutation, jwt_authn, lua, manager, wasm},
    traffic::Body,
    upstream::Class,
};

const REWRITTEN: Outcome = Outcome::Passed(Class::REWRITTEN);
const UNTOUCHED: Outcome = Outcome::Passed(Class::UNTOUCHED);

pub(super) fn variants() -> Vec<Variant> {
    let peer = |name, title, outcome, manager: Chain| Variant {
        name,
        title,
        group: Group::Peer,
        body: Body::Small,
        load: Load::Good,
        outcome,
        counter: None,
        asks: Asks::Never,
        needs_service: false,
        manager,
    };
    let plain = |name, title, body| Variant {
        group: Group::Plain,
        body,
        ..peer(name, title, UNTOUCHED, |_| Ok(manager(Vec::new(), &Route::Open)))
    };
    let signed = |name, title, manager: Chain| Variant {
        load: Load::Signed,
        ..peer(
            name,
            title,
            Outcome::Passed(Class { authorization: false, ..Class::UNTOUCHED }),
            manager,
        )
    };
    let asking = |name, title, cluster, manager: Chain| Variant {
        asks: Asks::Always(cluster),
        ..peer(name, title, REWRITTEN, manager)
    };
    let asking_the_service = |name, title, cluster, manager: Chain| Variant {
        needs_service: true,
        ..asking(name, title, cluster, manager)
    };
    let with_sid = Class { sid: true, authorization: false, ..Class::UNTOUCHED };
    vec![
        plain(PLAIN, "plain Envoy, 1 kB answers", Body::Small),
        plain("plain-1k-sids", "plain Envoy, 1 kB answers with session ids", Body::SmallWithSid),
        plain("plain-64k", "plain Envoy, 64 KiB answers", Body::Large),
        peer(
            "header-mutation",
            "native header_mutation: a fixed session id in, authorization out",
            Outcome::Passed(with_sid),
            |_| Ok(manager(vec![header_mutation()], &Route::Open)),
        ),
        peer("empty-wasm", "wasm: an empty filter, as the SDK builds it", UNTOUCHED, |stage| {
            Ok(manager(vec![wasm(&stage.filter("empty"), "")], &Route::Open))
        }),
        peer(
            "rewrite-abi",
            "wasm without the SDK: only the rewrite, no lock",
            REWRITTEN,
            |stage| Ok(manager(vec![wasm(&stage.filter("rewrite"), &stage.table())], &Route::Open)),
        ),
        peer(
            "same-calls-abi",
            "wasm without the SDK: the plugin's calls, callbacks, settings in Envoy, and lock",
            REWRITTEN,
            |stage| {
                let lock = Route::Locked(stage.production.lock()?);
                let code = stage.filter("same-calls");
                Ok(manager(vec![stage.production.other_code(&code, stage.table())?], &lock))
            },
        ),
        asking_the_service(
            "ext-authz",
            "ext_authz (HTTP) asks the service on each request; the route rewrites",
            "adapter",
            |_| Ok(manager(vec![ext_authz("adapter")], &Route::Rewriting)),
        ),
        asking_the_service(
            "lua-callout",
            "Lua asks the service on each request, and rewrites",
            SERVICE,
            |_| Ok(manager(vec![lua(include_str!("../../lua/callout.lua"))], &Route::Open)),
        ),
        asking(
            "ext-authz-stub",
            "ext_authz asks a stub that only looks the token up",
            "authorization",
            |_| Ok(manager(vec![ext_authz("authorization")], &Route::Rewriting)),
        ),
        asking("lua-callout-stub", "Lua asks the stub", "authorization", |_| {
            Ok(manager(vec![lua(include_str!("../../lua/callout-stub.lua"))], &Route::Open))
        }),
        peer("lua-cached", "Lua: a table of its own, and the rewrite", REWRITTEN, |_| {
            Ok(manager(vec![lua(include_str!("../../lua/cached.lua"))], &Route::Open))
        }),
        signed("jwt-uncached", "jwt_authn, ES256 (checks only, no session)", |stage| {
            Ok(manager(vec![jwt_authn(&stage.signed.keys, false)], &Route::Open))
        }),
        Variant {
            counter: Some("jwt_authn.jwt_cache_hit"),
            ..signed("jwt-cached", "jwt_authn, ES256, with its cache (checks only)", |stage| {
                Ok(manager(vec![jwt_authn(&stage.signed.keys, true)], &Route::Open))
            })
        },
    ]
}
