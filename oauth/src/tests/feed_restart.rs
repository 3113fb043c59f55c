//! The revocation feed after the process, or an older copy of its store, was started.

use std::time::Duration;

use super::{
    Kit, NOW,
    feed::{event, publish},
};
use crate::{
    feed::head_key,
    store::{Applied, Change, Condition, Key, Operation, Table},
};

/// The service after a start of its process.
async fn started(kit: Kit) -> Kit {
    let kit = kit.restarted();
    kit.app.feed.resume(kit.app.clock.unix_seconds()).await.unwrap();
    kit
}

#[tokio::test]
async fn after_a_restart_a_gateway_goes_on_where_it_was_and_forgets_nothing() {
    let kit = Kit::new();
    let head = kit.head().await;
    publish(&kit, "a").await;
    kit.clock.advance(Duration::from_secs(60));
    let kit = started(kit).await;
    let told = kit.feed(&format!("?after={}&wait=30", head + 1)).await;
    assert!(!told.reset && told.events.is_empty() && told.as_of > head + 1, "{told:?}");
    // Again and again, with events between.
    let second = told.as_of + 1;
    publish(&kit, "b").await;
    let kit = started(started(kit).await).await;
    publish(&kit, "c").await;
    let told = kit.feed(&format!("?after={head}")).await;
    assert!(!told.reset);
    let third = told.as_of;
    assert_eq!(told.events, [event(head + 1, "a"), event(second, "b"), event(third, "c")]);
    assert_eq!(kit.head().await, third);
}

#[tokio::test]
async fn a_gateway_that_knows_revocations_which_a_restored_copy_has_lost_forgets_everything() {
    let kit = Kit::new();
    publish(&kit, "a").await;
    let kept = kit.head().await;
    let (store, copy) = (kit.folder.path().join("store.redb"), kit.folder.path().join("copy"));
    std::fs::copy(&store, &copy).unwrap();
    for session in ["b", "c", "d"] {
        publish(&kit, session).await;
    }
    let known = kit.head().await;
    kit.clock.advance(Duration::from_secs(1));
    std::fs::rename(&copy, &store).unwrap();
    let kit = started(kit).await;
    // As many and more are written before the gateway asks again.
    for session in ["v", "w", "x", "y", "z"] {
        publish(&kit, session).await;
    }
    for lost in kept + 1..=known {
        assert!(kit.feed(&format!("?after={lost}&wait=30")).await.reset, "{lost} of {known}");
    }
    // Who had heard of none of the lost ones needs to forget nothing, and hears of the new ones.
    let told = kit.feed(&format!("?after={kept}")).await;
    assert_eq!((told.reset, told.events.len()), (false, 5));
    assert!(told.events[0].number > known, "no number comes twice");
}

#[tokio::test]
async fn a_clock_that_stands_back_at_a_start_costs_no_gateway_anything() {
    let kit = Kit::new();
    publish(&kit, "a").await;
    let head = kit.head().await;
    kit.clock.set_back(Duration::from_secs(1_000));
    let kit = started(kit).await;
    publish(&kit, "b").await;
    let told = kit.feed(&format!("?after={head}")).await;
    assert_eq!((told.reset, told.events.as_slice()), (false, &[event(head + 2, "b")][..]));
}

#[tokio::test]
async fn a_server_that_loses_revocations_while_the_service_runs_makes_gateways_forget_everything() {
    let kit = Kit::new();
    publish(&kit, "a").await;
    let kept = kit.head().await;
    for session in ["b", "c", "d"] {
        publish(&kit, session).await;
    }
    let known = kit.head().await;
    // As a failover of Redis to a replica that was behind: the last three are gone.
    let change = |key, change| Operation { key, condition: Condition::Any, change };
    let value = kept.to_be_bytes().to_vec();
    let mut lost = vec![change(head_key(), Change::Put { value, expires_at: u64::MAX })];
    for number in kept + 1..=known {
        lost.push(change(Key::new(Table::Revocation, number.to_string()), Change::Delete));
    }
    let done = kit.app.records.store().apply(lost, NOW).await.unwrap();
    assert_eq!(done, Applied::Yes);
    kit.clock.advance(Duration::from_secs(1));
    // Others end in the meantime, under numbers that gateways know already, were they given again.
    for session in ["e", "f", "g"] {
        publish(&kit, session).await;
    }
    assert!(kit.head().await > known + 3, "no number is given twice");
    assert!(kit.feed(&format!("?after={known}")).await.reset, "it knows what is lost");
    let told = kit.feed(&format!("?after={kept}")).await;
    assert!(!told.reset, "it knows nothing that is lost");
    assert_eq!(told.events.len(), 3);
}

/// A service whose store holds an event behind its head, as a backup does that was taken while the
/// service wrote it. The number of the head.
async fn with_an_event_beyond_the_head() -> (Kit, u64) {
    let kit = Kit::new();
    publish(&kit, "a").await;
    let head = kit.head().await;
    publish(&kit, "b").await;
    let value = head.to_be_bytes().to_vec();
    let change = Change::Put { value, expires_at: u64::MAX };
    let back = Operation { key: head_key(), condition: Condition::Any, change };
    assert_eq!(kit.app.records.store().apply(vec![back], NOW).await.unwrap(), Applied::Yes);
    (kit, head)
}

#[tokio::test]
async fn a_restored_event_beyond_the_end_of_the_feed_keeps_no_service_from_starting() {
    let (kit, head) = with_an_event_beyond_the_head().await;
    kit.clock.advance(Duration::from_secs(1));
    let kit = started(kit).await;
    for known in [head, head + 1, head + 2] {
        assert!(kit.feed(&format!("?after={known}")).await.reset, "{known} after {head}");
    }
    let now = kit.head().await;
    publish(&kit, "c").await;
    let told = kit.feed(&format!("?after={now}")).await;
    assert_eq!((told.reset, told.events.as_slice()), (false, &[event(now + 1, "c")][..]));
}

#[tokio::test]
async fn a_revocation_is_written_although_a_restored_event_has_its_number() {
    let (kit, head) = with_an_event_beyond_the_head().await;
    // Nobody has led the feed over to the time: an instance that runs meets the event.
    let kit = kit.restarted();
    publish(&kit, "c").await;
    assert!(kit.feed(&format!("?after={head}")).await.reset);
    let last = kit.head().await;
    let told = kit.feed(&format!("?after={}", last - 1)).await;
    assert_eq!((told.reset, told.events.as_slice()), (false, &[event(last, "c")][..]));
}
