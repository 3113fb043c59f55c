//! A client under load: logs people in, trades, refreshes, revokes and misuses, and remembers what it was
//! told. Each step returns `None` when the answer was lost, which ends the client's round.

use std::collections::BTreeMap;

use ib_end_to_end::{
    LOOPBACK_REDIRECT, PLATFORM_HOST, PUBLIC_CLIENT, Request, Response, Verifier, assert_error_body,
};
use url::Url;

use crate::ledger::{Family, Fate, Login};
use crate::lines::Lines;
use crate::random::Random;

/// Of the families that came last most is going on.
const RECENT: usize = 24;

pub(crate) struct Client {
    pub(crate) random: Random,
    pub(crate) logins: Vec<Login>,
    pub(crate) families: Vec<Family>,
    /// Access tokens whose revocation was answered, until the feed was seen to have them.
    pub(crate) revoked: Vec<String>,
    /// How often what happened.
    pub(crate) counts: BTreeMap<&'static str, u64>,
}

impl Client {
    pub(crate) fn new(random: Random) -> Self {
        Self {
            random,
            logins: Vec::new(),
            families: Vec::new(),
            revoked: Vec::new(),
            counts: BTreeMap::new(),
        }
    }

    pub(crate) fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// One step of the load, chosen at random.
    pub(crate) fn step(&mut self, lines: &mut Lines<'_>) -> Option<()> {
        let done = match self.random.below(20) {
            0..8 => self.log_in(lines),
            8..13 => self.refresh(lines),
            13..15 => self.revoke_access_token(lines),
            15 => self.revoke_family(lines),
            16 => self.use_code_again(lines),
            17 => self.use_spent_refresh_token(lines),
            _ => self.look(lines),
        };
        self.count(if done.is_some() { "answered steps" } else { "lost answers" });
        done
    }

    /// Brings a login one step further, or begins one.
    fn log_in(&mut self, lines: &mut Lines<'_>) -> Option<()> {
        let Some(mut login) = self.logins.pop() else { return self.begin(lines) };
        if !login.is_logged_in {
            lines.log_in(&login.content);
            login.is_logged_in = true;
            self.logins.push(login);
            return Some(());
        }
        match login.code.clone() {
            None => self.poll(lines, login),
            Some(code) if self.random.below(4) == 0 => self.race(lines, login, code),
            Some(code) => self.exchange(lines, login, code),
        }
    }

    fn begin(&mut self, lines: &mut Lines<'_>) -> Option<()> {
        let verifier = Verifier::generate();
        let platform = format!("https://{PLATFORM_HOST}");
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([
                ("response_type", "code"),
                ("client_id", PUBLIC_CLIENT),
                ("redirect_uri", LOOPBACK_REDIRECT),
                ("scope", "profile"),
                ("code_challenge", verifier.challenge().as_str()),
                ("code_challenge_method", "S256"),
                ("platform_url", platform.as_str()),
            ])
            .finish();
        let request = Request::get(format!("/authorize?{query}"));
        let answer = lines.public(&request.header("accept", "application/json"))?;
        let answer = answer.with_status(200).json();
        let text = |name: &str| answer[name].as_str().expect("a text").to_owned();
        let content = parameter(&text("loginUrl"), "token");
        self.logins.push(Login {
            verifier,
            poll_token: text("token"),
            content,
            is_logged_in: false,
            code: None,
            is_unsure: false,
        });
        self.count("logins begun");
        Some(())
    }

    pub(crate) fn poll(&mut self, lines: &mut Lines<'_>, mut login: Login) -> Option<()> {
        let target = format!("/authorize/poll?token={}", login.poll_token);
        let Some(answer) = lines.public(&Request::get(target)) else {
            self.logins.push(login);
            return None;
        };
        match answer.status {
            404 => assert!(!login.is_logged_in, "a login that is done is pending: {answer:?}"),
            _ => {
                let answer = answer.with_status(200).json();
                let redirect = answer["redirect_url"].as_str().expect("a redirect");
                login.code = Some(parameter(redirect, "code"));
            }
        }
        self.logins.push(login);
        Some(())
    }

    pub(crate) fn exchange(
        &mut self,
        lines: &mut Lines<'_>,
        mut login: Login,
        code: String,
    ) -> Option<()> {
        match lines.token(&exchange_fields(&code, &login.verifier)) {
            None => {
                login.is_unsure = true;
                self.logins.push(login);
                None
            }
            Some(answer) if answer.status == 200 => {
                self.families.push(Family::new(code, login.verifier, &answer, Fate::Alive));
                self.count("codes exchanged");
                Some(())
            }
            Some(answer) => {
                assert!(login.is_unsure, "a code that was never used is refused: {answer:?}");
                assert_refused(&answer);
                self.count("codes whose tokens were lost");
                Some(())
            }
        }
    }

    /// Two uses of one code at once: one wins at most, and the other one ends what the winner got.
    fn race(&mut self, lines: &mut Lines<'_>, mut login: Login, code: String) -> Option<()> {
        let answers = lines.race(&exchange_fields(&code, &login.verifier));
        let is_lost = answers.iter().any(Option::is_none);
        let (won, refused): (Vec<_>, Vec<_>) =
            answers.iter().flatten().partition(|answer| answer.status == 200);
        refused.into_iter().for_each(assert_refused);
        match (won.as_slice(), is_lost) {
            ([], false) => {
                assert!(login.is_unsure, "a code that was never used was refused twice");
                self.count("codes whose tokens were lost");
            }
            ([], true) => {
                login.is_unsure = true;
                self.logins.push(login);
            }
            ([first], _) => {
                let fate = if is_lost { Fate::Unsure } else { Fate::Ended };
                self.families.push(Family::new(code, login.verifier, first, fate));
                self.count("codes raced");
            }
            _ => panic!("a code was used twice: {answers:?}"),
        }
        (!is_lost).then_some(())
    }

    fn refresh(&mut self, lines: &mut Lines<'_>) -> Option<()> {
        let Some(place) = self.some_recent() else { return Some(()) };
        self.refresh_at(lines, place)
    }

    /// Refreshes, and checks the answer against what the family's fate allows.
    pub(crate) fn refresh_at(&mut self, lines: &mut Lines<'_>, place: usize) -> Option<()> {
        let family = &mut self.families[place];
        let answer = lines.token(&refresh_fields(&family.refresh_token));
        let Some(answer) = answer else {
            family.is_refresh_unsure = true;
            return None;
        };
        match family.fate {
            Fate::Ended => assert_refused(&answer),
            Fate::Alive => family.refreshed(&answer),
            // Only after a kill, before which the client stopped: the answer tells.
            Fate::Unsure if answer.status == 200 => {
                family.fate = Fate::Alive;
                family.refreshed(&answer);
            }
            Fate::Unsure => {
                assert_refused(&answer);
                family.fate = Fate::Ended;
            }
        }
        self.count("refreshes");
        Some(())
    }

    fn revoke_access_token(&mut self, lines: &mut Lines<'_>) -> Option<()> {
        let Some(place) = self.some_recent() else { return Some(()) };
        let family = &mut self.families[place];
        let is_alive = family.fate == Fate::Alive;
        let last = family.access.last_mut().filter(|access| access.fate == Fate::Alive);
        let Some(access) = last.filter(|_| is_alive) else { return Some(()) };
        access.fate = Fate::Unsure;
        lines.public(&revocation(&access.token))?.with_status(200);
        access.fate = Fate::Ended;
        let token = access.token.clone();
        self.revoked.push(token);
        self.count("access tokens revoked");
        Some(())
    }

    fn revoke_family(&mut self, lines: &mut Lines<'_>) -> Option<()> {
        self.end_family(lines, "families revoked", |lines, family| {
            let answer = lines.public(&revocation(&family.refresh_token))?;
            answer.with_status(200);
            Some(())
        })
    }

    fn use_code_again(&mut self, lines: &mut Lines<'_>) -> Option<()> {
        self.end_family(lines, "codes used again", |lines, family| {
            let answer = lines.token(&exchange_fields(&family.code, &family.verifier))?;
            assert_refused(&answer);
            Some(())
        })
    }

    /// One whose successor is spent, too: no grace is for it.
    fn use_spent_refresh_token(&mut self, lines: &mut Lines<'_>) -> Option<()> {
        self.end_family(lines, "spent refresh tokens used", |lines, family| {
            let [.., spent, _] = family.spent.as_slice() else { return Some(()) };
            assert_refused(&lines.token(&refresh_fields(spent))?);
            family.fate = Fate::Ended;
            Some(())
        })
    }

    /// Does what ends a family. Its fate is unsure until the answer is there.
    fn end_family(
        &mut self,
        lines: &mut Lines<'_>,
        what: &'static str,
        end: impl FnOnce(&mut Lines<'_>, &mut Family) -> Option<()>,
    ) -> Option<()> {
        let Some(place) = self.some_recent() else { return Some(()) };
        let family = &mut self.families[place];
        // An older spent token is needed for the one way, and the others go well with it.
        if family.spent.len() < 2 {
            return Some(());
        }
        let before = family.fate;
        family.fate = if before == Fate::Ended { Fate::Ended } else { Fate::Unsure };
        end(lines, family)?;
        family.fate = Fate::Ended;
        self.count(what);
        Some(())
    }

    fn look(&mut self, lines: &mut Lines<'_>) -> Option<()> {
        let Some(place) = self.some_recent() else { return Some(()) };
        self.verify(lines, place)
    }

    /// Introspects every access token of a family whose fate is known.
    pub(crate) fn verify(&mut self, lines: &mut Lines<'_>, place: usize) -> Option<()> {
        let mut looked = 0;
        let family = &self.families[place];
        for access in &family.access {
            let is_active = lines.is_active(&access.token)?;
            let is_to_be = family.fate == Fate::Alive && access.fate == Fate::Alive;
            assert_eq!(
                is_active,
                is_to_be,
                "a token is {}: family {:?}, token {:?}",
                if is_active { "good again" } else { "lost" },
                family.fate,
                access.fate,
            );
            looked += 1;
        }
        *self.counts.entry("introspections checked").or_default() += looked;
        Some(())
    }

    fn some_recent(&mut self) -> Option<usize> {
        let first = self.families.len().saturating_sub(RECENT);
        Some(first + self.random.place(self.families.len() - first)?)
    }
}

pub(crate) fn exchange_fields<'f>(
    code: &'f str,
    verifier: &'f Verifier,
) -> [(&'f str, &'f str); 3] {
    [("grant_type", "authorization_code"), ("code", code), ("code_verifier", verifier.secret())]
}

pub(crate) fn refresh_fields(token: &str) -> [(&str, &str); 2] {
    [("grant_type", "refresh_token"), ("refresh_token", token)]
}

fn revocation(token: &str) -> Request {
    Request::post_form("/revoke", &[("token", token), ("client_id", PUBLIC_CLIENT)])
}

#[track_caller]
pub(crate) fn assert_refused(answer: &Response) {
    assert_error_body(answer, 400, "invalid_grant");
}

fn parameter(url: &str, name: &str) -> String {
    let url = Url::parse(url).expect("a URL");
    let found = url.query_pairs().find(|(key, _)| key == name);
    found.unwrap_or_else(|| panic!("no {name}: {url}")).1.into_owned()
}
