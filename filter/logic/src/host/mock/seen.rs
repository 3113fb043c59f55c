//! What each side of the world got to see: the questions of tests.

use super::{
    ClientAnswer, SentCallout, World,
    stream::{RequestPhase, ResponsePhase},
};
use crate::{Counter, Gauge, HeaderMap, Histogram, Note, StreamId};

impl World {
    /// The callouts to a path, its query left out, that were sent so far.
    pub(crate) fn sent_to(&self, path: &str) -> Vec<SentCallout> {
        let callouts = self.callouts.borrow();
        let sent = callouts.iter().filter(|callout| callout.path.split('?').next() == Some(path));
        sent.cloned().collect()
    }

    /// All callouts that were sent so far.
    pub(crate) fn sent(&self) -> Vec<SentCallout> {
        self.callouts.borrow().clone()
    }

    /// How many there are.
    pub(crate) fn sent_count(&self) -> usize {
        self.callouts.borrow().len()
    }

    /// The callouts that are under way.
    pub(crate) fn under_way(&self) -> Vec<SentCallout> {
        let callouts = self.callouts.borrow();
        callouts.iter().filter(|callout| callout.is_under_way).cloned().collect()
    }

    /// The poll of the revocation feed that is under way.
    pub(crate) fn poll(&self) -> Option<SentCallout> {
        self.under_way().into_iter().find(|callout| callout.path.starts_with("/revocations"))
    }

    /// The callout that was sent last.
    pub(crate) fn last_callout(&self) -> SentCallout {
        self.callouts.borrow().last().expect("a callout").clone()
    }

    /// Whether the request went upstream with the gate's approval.
    pub(crate) fn is_upstream(&self, id: StreamId) -> bool {
        self.edit(id, |it| it.request_phase == RequestPhase::Gone && it.is_approved())
    }

    /// Whether the stream waits: it went nowhere and was not answered.
    pub(crate) fn is_waiting(&self, id: StreamId) -> bool {
        self.edit(id, |it| {
            let is_stopped = it.request_phase == RequestPhase::Paused
                || it.response_phase == ResponsePhase::Held;
            is_stopped
                && it.reply.is_none()
                && !it.has_ended
                && !it.is_cut_off
                && it.response_phase != ResponsePhase::Gone
        })
    }

    /// The headers of the request, as they are now.
    pub(crate) fn request(&self, id: StreamId) -> HeaderMap {
        self.edit(id, |stream| stream.request.clone())
    }

    /// Puts other headers in the place of the request's.
    pub(crate) fn tamper(&self, id: StreamId, headers: HeaderMap) {
        self.edit(id, |stream| stream.request = headers);
    }

    /// Whether the headers of the request are as the client sent them.
    pub(crate) fn is_untouched(&self, id: StreamId) -> bool {
        self.edit(id, |it| {
            !it.is_request_rewritten && super::text(&it.request) == super::text(&it.received)
        })
    }

    /// The values of a header of the request as it is now.
    pub(crate) fn request_values(&self, id: StreamId, name: &str) -> Vec<String> {
        super::values(&self.request(id), name)
    }

    /// The values of a header of the response as it is now.
    pub(crate) fn response_values(&self, id: StreamId, name: &str) -> Vec<String> {
        self.edit(id, |stream| super::values(&stream.response, name))
    }

    /// The headers of the response, as they are now.
    pub(crate) fn response(&self, id: StreamId) -> HeaderMap {
        self.edit(id, |stream| stream.response.clone())
    }

    /// Whether the headers of the response were replaced.
    pub(crate) fn is_response_rewritten(&self, id: StreamId) -> bool {
        self.edit(id, |stream| stream.is_response_rewritten)
    }

    /// What the client got, if it got an answer.
    pub(crate) fn client(&self, id: StreamId) -> Option<ClientAnswer> {
        self.edit(id, |stream| stream.client_answer())
    }

    /// The status that the client got.
    pub(crate) fn status(&self, id: StreamId) -> Option<u16> {
        self.client(id).map(|answer| answer.status)
    }

    /// Status and description of the refusal that the client got.
    pub(crate) fn refusal(&self, id: StreamId) -> (u16, String) {
        let answer = self.client(id).expect("an answer");
        (answer.status, answer.description())
    }

    /// Bytes of the response's body that are held.
    pub(crate) fn held_bytes(&self, id: StreamId) -> usize {
        self.edit(id, |stream| stream.held_body.len())
    }

    /// Whether the gateway answered in the upstream's place.
    pub(crate) fn has_reply(&self, id: StreamId) -> bool {
        self.edit(id, |stream| stream.reply.is_some())
    }

    /// Whether the stream was ended in the middle of its answer.
    pub(crate) fn is_cut_off(&self, id: StreamId) -> bool {
        self.edit(id, |stream| stream.is_cut_off)
    }

    /// Whether the request's, and the response's trailers were emptied.
    pub(crate) fn dropped_trailers(&self, id: StreamId) -> (bool, bool) {
        self.edit(id, |it| (it.are_request_trailers_dropped, it.are_response_trailers_dropped))
    }

    /// The notes of a kind that a stream got.
    pub(crate) fn notes(&self, id: StreamId, note: Note) -> Vec<String> {
        let of_kind = |it: &&(Note, String)| it.0 == note;
        self.edit(id, |stream| stream.notes.iter().filter(of_kind).map(|it| it.1.clone()).collect())
    }

    /// How often a counter was raised.
    pub(crate) fn count_of(&self, counter: Counter) -> u64 {
        self.gateway.report(self);
        self.counted.borrow().get(counter.name()).copied().unwrap_or_default()
    }

    /// Where a gauge stands.
    pub(crate) fn gauge(&self, gauge: Gauge) -> i64 {
        self.gateway.report(self);
        self.gauges.borrow().get(gauge.name()).copied().unwrap_or_default()
    }

    /// The values of a histogram.
    pub(crate) fn observed(&self, histogram: Histogram) -> Vec<u64> {
        let of_kind = |it: &&(Histogram, u64)| it.0 == histogram;
        self.observed.borrow().iter().filter(of_kind).map(|it| it.1).collect()
    }
}
