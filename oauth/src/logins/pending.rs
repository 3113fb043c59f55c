//! How many logins may wait for their person: in all, of one address, and on one platform. Each begun
//! login has a place until it is settled or its deadline has passed. The places are this process's
//! own; a restart forgets them, and their logins end by their deadlines.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::settings::PendingSettings;

/// There is no place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// Too many logins wait in all.
    Everywhere,
    /// Too many of this address, or on this platform.
    Here {
        /// Seconds until the first of them ends, at the latest.
        retry_after: u64,
    },
}

/// The places.
pub(super) struct Pending {
    most: PendingSettings,
    lifetime: Duration,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    next: u64,
    /// By number, and so by deadline: all live equally long.
    places: BTreeMap<u64, Taken>,
    of_login: HashMap<String, u64>,
    of_address: HashMap<IpAddr, usize>,
    on_platform: HashMap<String, usize>,
}

struct Taken {
    ends: Duration,
    address: IpAddr,
    platform: String,
    login: Option<String>,
}

/// A place, which is free again when this is dropped without a login.
pub(super) struct Place<'p> {
    pending: &'p Pending,
    number: u64,
    is_kept: bool,
}

impl Pending {
    pub(super) fn new(most: PendingSettings, lifetime: Duration) -> Self {
        Self { most, lifetime, kept: Mutex::default() }
    }

    /// Takes a place at `now`, the clock's monotonic reading.
    pub(super) fn take(
        &self,
        address: IpAddr,
        platform: &str,
        now: Duration,
    ) -> Result<Place<'_>, Full> {
        let mut kept = self.kept();
        kept.end_until(now);
        if kept.places.len() >= self.most.total {
            return Err(Full::Everywhere);
        }
        let of_address = kept.of_address.get(&address).copied().unwrap_or_default();
        let on_platform = kept.on_platform.get(platform).copied().unwrap_or_default();
        let address_is_full = of_address >= self.most.address;
        if address_is_full || on_platform >= self.most.platform {
            let first = kept.places.values().find(|taken| {
                if address_is_full { taken.address == address } else { taken.platform == platform }
            });
            let wait = first.map_or(self.lifetime, |taken| taken.ends.saturating_sub(now));
            // Rounded up: a second too late is better than in vain.
            return Err(Full::Here { retry_after: wait.as_secs().saturating_add(1) });
        }
        let number = kept.next;
        kept.next = kept.next.saturating_add(1);
        let platform = platform.to_owned();
        *kept.of_address.entry(address).or_default() = of_address.saturating_add(1);
        *kept.on_platform.entry(platform.clone()).or_default() = on_platform.saturating_add(1);
        let ends = now.saturating_add(self.lifetime);
        kept.places.insert(number, Taken { ends, address, platform, login: None });
        Ok(Place { pending: self, number, is_kept: false })
    }

    /// A login has ended, with or without a session.
    pub(super) fn settled(&self, login: &str) {
        let mut kept = self.kept();
        if let Some(number) = kept.of_login.get(login).copied() {
            kept.free(number);
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Frees the places of logins whose deadline has passed.
    fn end_until(&mut self, now: Duration) {
        while let Some((number, taken)) = self.places.first_key_value() {
            if taken.ends > now {
                break;
            }
            let number = *number;
            self.free(number);
        }
    }

    fn free(&mut self, number: u64) {
        let Some(taken) = self.places.remove(&number) else { return };
        if let Some(login) = &taken.login {
            self.of_login.remove(login);
        }
        take_one(&mut self.of_address, &taken.address);
        take_one(&mut self.on_platform, &taken.platform);
    }
}

fn take_one<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    match counts.get_mut(key) {
        Some(count) if *count > 1 => *count = count.saturating_sub(1),
        _ => {
            counts.remove(key);
        }
    }
}

impl Place<'_> {
    /// Keeps the place for a login until that is settled.
    pub(super) fn keep_for(mut self, login: String) {
        self.is_kept = true;
        let mut kept = self.pending.kept();
        if let Some(taken) = kept.places.get_mut(&self.number) {
            taken.login = Some(login.clone());
            kept.of_login.insert(login, self.number);
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if !self.is_kept {
            self.pending.kept().free(self.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{net::IpAddr, time::Duration};

    use super::{Full, Pending};
    use crate::settings::PendingSettings;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const TWO: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    fn pending(total: usize, address: usize, platform: usize) -> Pending {
        let most = PendingSettings { total, address, platform };
        Pending::new(most, Duration::from_secs(300))
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[track_caller]
    fn begin(pending: &Pending, address: IpAddr, platform: &str, now: u64, login: &str) {
        pending.take(address, platform, at(now)).ok().unwrap().keep_for(login.to_owned());
    }

    fn refused(pending: &Pending, address: IpAddr, platform: &str, now: Duration) -> Option<Full> {
        pending.take(address, platform, now).err()
    }

    #[test]
    fn one_address_or_platform_cannot_take_the_places_of_the_others() {
        let pending = pending(10, 2, 3);
        begin(&pending, ONE, "a", 100, "1");
        begin(&pending, ONE, "b", 150, "2");
        assert_eq!(refused(&pending, ONE, "c", at(160)), Some(Full::Here { retry_after: 241 }));
        begin(&pending, TWO, "a", 160, "3");
        begin(&pending, IpAddr::from([192, 0, 2, 3]), "a", 160, "4");
        let four = IpAddr::from([192, 0, 2, 4]);
        assert_eq!(refused(&pending, four, "a", at(160)), Some(Full::Here { retry_after: 241 }));
        assert_eq!(refused(&pending, four, "b", at(160)), None);
    }

    #[test]
    fn a_place_is_free_again_when_its_login_is_settled_or_its_deadline_has_passed() {
        let pending = pending(2, 2, 2);
        begin(&pending, ONE, "a", 0, "1");
        begin(&pending, TWO, "a", 0, "2");
        let just_before = at(300) - Duration::from_millis(1);
        assert_eq!(refused(&pending, TWO, "b", just_before), Some(Full::Everywhere));
        pending.settled("1");
        pending.settled("unknown");
        begin(&pending, ONE, "b", 299, "3");
        assert_eq!(refused(&pending, ONE, "b", at(299)), Some(Full::Everywhere));
        begin(&pending, ONE, "b", 300, "4");
        assert_eq!(refused(&pending, TWO, "c", at(300)), Some(Full::Everywhere));
        assert_eq!(refused(&pending, TWO, "c", at(600)), None);
        let kept = pending.kept();
        assert!(kept.places.is_empty() && kept.of_login.is_empty());
        assert!(kept.of_address.is_empty() && kept.on_platform.is_empty());
    }

    #[test]
    fn a_login_that_could_not_begin_keeps_no_place() {
        let pending = pending(1, 1, 1);
        drop(pending.take(ONE, "a", at(0)).ok().unwrap());
        assert_eq!(refused(&pending, ONE, "a", at(0)), None);
    }
}
