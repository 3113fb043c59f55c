//! Downloads: ranges, heads, and more bytes than anybody wants in memory.

use reqwest::Method;
use sha2::{Digest as _, Sha256};

use super::support::{API, COMPANY, Fixture};

const FIFTY_MEGABYTES: u64 = 52_428_800;

fn expected(start: u64, end: u64) -> Vec<u8> {
    (start..end).map(|index| (index / 8).to_be_bytes()[(index % 8) as usize]).collect()
}

#[tokio::test]
async fn a_download_can_be_resumed_where_it_broke_off() {
    let fixture = Fixture::start();
    let sid = fixture.log_in(COMPANY, "ada").await;
    let get = |range: &str| {
        fixture
            .get(API, "/api/3.0.0/x/resource/bytes-1000?action=download")
            .header("sid", &sid)
            .header("range", range)
    };
    let part = get("bytes=3-10").send().await.unwrap();
    assert_eq!(part.status(), 206);
    assert_eq!(part.headers()["content-range"], "bytes 3-10/1000");
    assert_eq!(part.headers()["content-length"], "8");
    let tag = part.headers()["etag"].clone();
    assert_eq!(part.bytes().await.unwrap(), expected(3, 11));

    let beyond = get("bytes=1000-").send().await.unwrap();
    assert_eq!(beyond.status(), 416);
    assert_eq!(beyond.headers()["content-range"], "bytes */1000");

    let same = get("bytes=990-").header("if-range", &tag).send().await.unwrap();
    assert_eq!(same.status(), 206);
    let changed = get("bytes=990-").header("if-range", "\"another\"").send().await.unwrap();
    assert_eq!(changed.status(), 200);
    assert_eq!(changed.bytes().await.unwrap(), expected(0, 1000));
    let known = get("bytes=0-").header("if-none-match", &tag).send().await.unwrap();
    assert_eq!(known.status(), 304);
}

#[tokio::test]
async fn a_head_has_the_headers_of_the_download_over_both_protocols() {
    let fixture = Fixture::start();
    let sid = fixture.log_in(COMPANY, "ada").await;
    for client in [fixture.client.clone(), fixture.client_with(|builder| builder.http1_only())] {
        let url = fixture.url(API, "/api/3.0.0/x/resource/bytes-1000?action=preview");
        let head = client.request(Method::HEAD, url).header("sid", &sid).send().await.unwrap();
        assert_eq!(head.status(), 200);
        assert_eq!(head.headers()["content-length"], "1000");
        let disposition = &head.headers()["content-disposition"];
        assert_eq!(disposition, "inline; filename=\"asset-bytes-1000.bin\"");
        assert!(head.bytes().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_download_takes_its_session_id_from_the_query_too() {
    let fixture = Fixture::start();
    let sid = fixture.log_in(COMPANY, "ada").await;
    let target = format!("/api/3.0.0/x/resource/abc?action=download&sid={sid}");
    let response = fixture.get(API, &target).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.bytes().await.unwrap().len(), 65_536);
}

#[tokio::test]
async fn fifty_megabytes_go_down_and_up_unchanged() {
    let fixture = Fixture::start();
    let sid = fixture.log_in(COMPANY, "ada").await;
    let target = format!("/api/3.0.0/x/resource/bytes-{FIFTY_MEGABYTES}?action=download");
    let mut down = fixture.get(API, &target).header("sid", &sid).send().await.unwrap();
    assert_eq!(down.headers()["content-length"], FIFTY_MEGABYTES.to_string());
    let mut content = Vec::new();
    while let Some(piece) = down.chunk().await.unwrap() {
        content.extend_from_slice(&piece);
    }
    assert_eq!(content.len() as u64, FIFTY_MEGABYTES);
    assert_eq!(content[content.len() - 8..], (FIFTY_MEGABYTES / 8 - 1).to_be_bytes());
    let digest = crate::random::to_hexadecimal(&Sha256::digest(&content));
    let up = fixture.request(Method::PUT, COMPANY, "/anything?echo").body(content);
    let echo: serde_json::Value = up.send().await.unwrap().json().await.unwrap();
    assert_eq!(echo["body_sha256"], digest);
    assert_eq!(echo["body_length"], FIFTY_MEGABYTES);
}
