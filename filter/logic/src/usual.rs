//! The short way of a hit: for requests that are written as nearly all are, with a token that is known.
//!
//! It either finds what [`Request::read`](crate::head::Request::read) and the look-ups after it would
//! find, or nothing, and then they are asked. It is short because a token in the cache has been through all
//! checks of its form, and a host that is written as its session names it through those of a host. (For
//! every request that this way approves in a test, the long way is asked as well.)

use std::rc::Rc;

use crate::{
    Gateway, Timestamp,
    credentials::Credentials,
    grant::Grant,
    head::Head,
    session::{Session, Standing},
    target::{DEFAULT_PORT, Target},
};

/// A request that may go upstream as it is written.
pub(crate) struct UsualHit<'a> {
    pub(crate) grant: Rc<Grant>,
    pub(crate) session: Rc<Session>,
    pub(crate) credentials: Rc<Credentials>,
    pub(crate) target: Target<'a>,
    /// A renewal of the session is due.
    pub(crate) is_due: bool,
}

impl Gateway {
    /// What is known for a request whose path has `rest` under a prefix. `None` says nothing about it.
    pub(crate) fn usual_hit<'a>(
        &self,
        head: &Head<'a>,
        rest: &'a [u8],
        now: Timestamp,
    ) -> Option<UsualHit<'a>> {
        let token = head.usual_token()?;
        let target = Target::usual(rest)?;
        let mut decisions = self.decisions.borrow_mut();
        let (grant, kept_at) = decisions.granted(token, now)?;
        let session = grant.session_named(target.host.as_bytes())?;
        let is_due = match session.standing(now) {
            Standing::Good => false,
            Standing::Due => true,
            Standing::Over(_) | Standing::Ended => return None,
        };
        let is_allowed = self.vouches_for(kept_at, now)
            && self.policy.allowed_ports.contains(&DEFAULT_PORT)
            && self.policy.allows_host(&target.host)
            && self
                .policy
                .missing_scope(&target.host, head.method, target.path(), grant.scope())
                .is_none();
        is_allowed.then(|| UsualHit {
            grant: Rc::clone(grant),
            session: Rc::clone(session),
            credentials: session.credentials(),
            target,
            is_due,
        })
    }

    /// Fails a test where the long way decides otherwise.
    #[cfg(test)]
    pub(crate) fn check_by_the_long_way(
        &self,
        headers: &crate::HeaderMap,
        hit: &UsualHit<'_>,
        now: Timestamp,
    ) {
        let Ok(Some(request)) = crate::head::Request::read(headers, &self.policy) else {
            panic!("the long way refuses the request");
        };
        assert_eq!(request.target, hit.target);
        let Some(crate::cache::Decision::Granted(grant)) = self.look_up(request.token, now) else {
            panic!("the long way does not know the token");
        };
        assert!(Rc::ptr_eq(&grant, &hit.grant));
        let session = grant.session_for(&request.target.host).expect("the same session");
        assert!(Rc::ptr_eq(session, &hit.session));
        let (host, scope) = (&request.target.host, grant.scope());
        let path = request.target.path();
        assert_eq!(self.policy.missing_scope(host, request.method, path, scope), None);
    }
}
