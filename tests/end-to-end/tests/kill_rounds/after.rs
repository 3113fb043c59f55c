//! What a client checks after a restart.

use crate::client::{Client, assert_refused, exchange_fields, refresh_fields};
use crate::ledger::Fate;
use crate::lines::Lines;

/// How many of the last families are looked at after each restart, and how many of all before them.
const RECENT: usize = 8;
const OLDER: usize = 8;

impl Client {
    /// Everything that was given is still good, and what has ended has not come back. With `all` every
    /// family is looked at, else those at hand and some of the others.
    pub(crate) fn check(&mut self, lines: &mut Lines<'_>, all: bool) {
        let told = self.settle_logins(lines);
        told.expect("nobody kills the service during a check");
        let mut places: Vec<usize> = (0..self.families.len()).collect();
        for place in places.clone() {
            self.settle(lines, place).expect("an answer");
        }
        if !all {
            let older = places.len().saturating_sub(RECENT);
            let chosen: Vec<_> = (0..OLDER).filter_map(|_| self.random.place(older)).collect();
            places.drain(..older);
            places.extend(chosen);
        }
        for place in places {
            self.verify(lines, place).expect("an answer");
        }
        if let Some(place) = self.random.place(self.families.len()) {
            self.refresh_at(lines, place).expect("an answer");
            self.verify(lines, place).expect("an answer");
        }
        if let Some(place) = self.random.place(self.families.len()) {
            self.code_works_no_second_time(lines, place).expect("an answer");
        }
    }

    /// No login that has begun is unknown, and every code that was received is still worth what it was.
    fn settle_logins(&mut self, lines: &mut Lines<'_>) -> Option<()> {
        for login in std::mem::take(&mut self.logins) {
            match login.code.clone() {
                Some(code) if login.is_unsure => self.exchange(lines, login, code)?,
                _ => self.poll(lines, login)?,
            }
        }
        Some(())
    }

    /// Finds out what became of what the kill has cut off.
    fn settle(&mut self, lines: &mut Lines<'_>, place: usize) -> Option<()> {
        let family = &mut self.families[place];
        if family.fate == Fate::Unsure {
            let good = family.access.iter().find(|access| access.fate == Fate::Alive);
            match good {
                Some(access) => {
                    let is_active = lines.is_active(&access.token)?;
                    family.fate = if is_active { Fate::Alive } else { Fate::Ended };
                }
                None => self.refresh_at(lines, place)?,
            }
        }
        let family = &mut self.families[place];
        if family.is_refresh_unsure && family.fate == Fate::Alive {
            // The answer was lost: the predecessor gets a successor, and the same one again.
            let fields = refresh_fields(&family.refresh_token);
            let answers = [lines.token(&fields)?, lines.token(&fields)?];
            let [first, second] = answers.each_ref().map(|answer| {
                assert_eq!(answer.status, 200, "a lost answer is not given again: {answer:?}");
                let body = answer.json();
                (body["access_token"].clone(), body["refresh_token"].clone())
            });
            assert_eq!(first, second, "the predecessor got two successors");
            let [answer, _] = answers;
            family.refreshed(&answer);
            self.count("lost refreshes given again");
        }
        let family = &mut self.families[place];
        for access in family.access.iter_mut().filter(|access| access.fate == Fate::Unsure) {
            let is_good = family.fate == Fate::Alive && lines.is_active(&access.token)?;
            access.fate = if is_good { Fate::Alive } else { Fate::Ended };
        }
        Some(())
    }

    fn code_works_no_second_time(&mut self, lines: &mut Lines<'_>, place: usize) -> Option<()> {
        let family = &mut self.families[place];
        assert_refused(&lines.token(&exchange_fields(&family.code, &family.verifier))?);
        family.fate = Fate::Ended;
        self.verify(lines, place)?;
        self.refresh_at(lines, place)?;
        self.count("codes used again after a restart");
        Some(())
    }
}
