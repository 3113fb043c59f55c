//! The two scripts, each of which Redis runs as one step, and their arguments.

use ::redis::{Script, ScriptInvocation};

use super::{
    super::{Change, Condition, Key, Named, Operation, partition_of},
    names::{MARGIN, Names, lifetime},
};

pub(super) struct Scripts {
    apply: Script,
    import: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            apply: Script::new(concat!(include_str!("tidy.lua"), include_str!("apply.lua"))),
            import: Script::new(concat!(include_str!("tidy.lua"), include_str!("import.lua"))),
        }
    }

    pub(super) fn apply(
        &self,
        names: &Names,
        operations: &[Operation],
        now: u64,
    ) -> ScriptInvocation<'_> {
        let mut invocation = self.apply.prepare_invoke();
        let sets = add_keys(&mut invocation, names, operations.iter().map(|own| &own.key));
        invocation.arg(now).arg(operations.len()).arg(MARGIN);
        for (operation, set) in operations.iter().zip(sets) {
            match operation.condition {
                Condition::Any => invocation.arg("any"),
                Condition::Absent => invocation.arg("absent"),
                Condition::Present => invocation.arg("present"),
                Condition::Version(version) => invocation.arg(version),
            };
            match &operation.change {
                Change::Keep => invocation.arg("keep").arg("").arg("").arg(""),
                Change::Delete => invocation.arg("delete").arg("").arg("").arg(""),
                Change::Put { value, expires_at } => {
                    let lifetime = text(lifetime(*expires_at, now));
                    invocation.arg("put").arg(value.as_slice()).arg(*expires_at).arg(lifetime)
                }
            };
            invocation.arg(set.number).arg(set.rest);
        }
        invocation
    }

    /// Writes records that have not expired at `now`.
    pub(super) fn import(
        &self,
        names: &Names,
        records: &[Named],
        now: u64,
    ) -> ScriptInvocation<'_> {
        let live = || records.iter().filter(|record| record.stored.expires_at > now);
        let mut invocation = self.import.prepare_invoke();
        let sets = add_keys(&mut invocation, names, live().map(|own| &own.key));
        invocation.arg(now).arg(live().count()).arg(MARGIN);
        for (Named { stored, .. }, set) in live().zip(sets) {
            invocation.arg(stored.version).arg(stored.value.as_slice()).arg(stored.expires_at);
            invocation.arg(text(lifetime(stored.expires_at, now))).arg(set.number).arg(set.rest);
        }
        invocation
    }
}

/// A partition's sets among the keys of a script.
struct Sets<'k> {
    /// The number of the first, counted from 1 as Lua does. 0: the key has no partition.
    number: usize,
    rest: &'k str,
}

/// Adds the records' keys, and behind them the sets of those that have a partition.
fn add_keys<'k>(
    invocation: &mut ScriptInvocation<'_>,
    names: &Names,
    keys: impl Iterator<Item = &'k Key> + Clone,
) -> Vec<Sets<'k>> {
    let mut count = 0_usize;
    for key in keys.clone() {
        invocation.key(names.record(key));
        count = count.saturating_add(1);
    }
    keys.map(|key| match partition_of(&key.id) {
        None => Sets { number: 0, rest: "" },
        Some((partition, rest)) => {
            invocation.key(names.ids(key.table, partition)).key(names.ends(key.table, partition));
            let number = count.saturating_add(1);
            count = count.saturating_add(2);
            Sets { number, rest }
        }
    })
    .collect()
}

fn text(lifetime: Option<u64>) -> String {
    lifetime.map(|seconds| seconds.to_string()).unwrap_or_default()
}
