use std::{sync::Arc, time::Duration};

use super::{ClientDocumentSource, DocumentError, Documents, Fetching, MOST_DOCUMENTS, host_of};
use crate::{
    clock::ManualClock,
    hosts::{HostList, HostPattern},
    settings::DocumentSettings,
};

/// Nobody has a document.
struct Nothing;

impl ClientDocumentSource for Nothing {
    fn fetch<'a>(&'a self, _: &'a str) -> Fetching<'a> {
        Box::pin(async { Err(DocumentError::NoDocument) })
    }
}

#[tokio::test]
async fn what_is_kept_is_bounded_however_many_client_ids_are_invented() {
    let documents = Documents::new(Arc::new(Nothing), Arc::new(ManualClock::at(1)));
    let settings = DocumentSettings {
        hosts: HostList::new(vec![HostPattern::parse("app.example.com").unwrap()]),
        scopes: vec!["profile".to_owned()],
        shortest: Duration::from_secs(300),
        longest: Duration::from_secs(300),
    };
    for number in 0..MOST_DOCUMENTS + 10 {
        let id = format!("https://app.example.com/{number}");
        assert!(documents.find(&settings, &id).await.is_err());
    }
    let places = documents.places.lock().unwrap();
    assert_eq!(places.by_url.len(), MOST_DOCUMENTS);
    assert!(!places.by_url.contains_key("https://app.example.com/0"), "the oldest went first");
}

#[test]
fn a_client_id_has_one_form_that_every_parser_reads_alike() {
    assert_eq!(host_of("https://app.example.com/a/b.json").as_deref(), Some("app.example.com"));
    for bad in [
        "https://app.example.com/a b",
        "https://app.example.com/\u{e9}",
        "https://app.example.com/./a",
        "https://app.example.com:443/a",
        "https://app.example.com//",
        "https:app.example.com/a",
        &format!("https://app.example.com/{}", "x".repeat(512)),
    ] {
        let host = host_of(bad);
        assert!(host.is_none() || *bad == *"https://app.example.com//", "{bad}: {host:?}");
    }
}
