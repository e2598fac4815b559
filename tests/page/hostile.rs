//! Deliveries of a hostile sender.

use tower_inbox::{Outcome, testing::Sample};

use super::support::*;

const SCRIPT: &str =
    "<script>alert(1)</script><svg onload=alert(1)>\"'><img src=x onerror=alert(1)>";

/// Fails if the page has markup of the sender, or scripts and styles that the policy would have to allow.
fn assert_harmless(answer: &Answer) {
    let text = answer.text();
    for markup in ["<script>", "<svg onload", "<img", "<b>", " style=", " onload=\"", "javascript:"]
    {
        assert!(!text.contains(markup), "{markup}: {text}");
    }
    assert_eq!(text.matches("<script").count(), 1, "only the script of the page");
}

#[tokio::test]
async fn markup_in_every_part_of_a_delivery_is_escaped() {
    let setup = Setup::new();
    let hostile = |body: &str| {
        Sample::of("<img/src=x/onerror=alert(1)>")
            .uri("/hooks?<script>alert(1)</script>".parse().unwrap_or_default())
            .header("x-hostile", SCRIPT.as_bytes())
            .header("content-type", b"text/html")
            .body(body.to_owned())
    };
    let json = serde_json::json!({ SCRIPT: [SCRIPT, { "a": SCRIPT }] }).to_string();
    let mut pages =
        vec![String::new(), "?view=deliveries".to_owned(), "?view=quarantine".to_owned()];
    for body in [SCRIPT, json.as_str()] {
        let delivery = setup.settled(hostile(body), Outcome::dead(SCRIPT)).await;
        let kept = setup.quarantined(hostile(body)).await;
        for form in ["tree", "text", "hex"] {
            pages.push(format!("?view=delivery&id={}&body={form}", delivery.id()));
            pages.push(format!("?view=delivery&in=quarantine&id={}&body={form}", kept.id()));
        }
    }
    for page in pages {
        let answer = setup.get(&page).await;
        assert_eq!(answer.status, 200, "{page}");
        assert_harmless(&answer);
        assert!(answer.text().contains("&lt;"), "{page} shows it as text");
    }
}

#[tokio::test]
async fn markup_in_parameters_is_escaped() {
    let setup = Setup::new();
    let script = "%3Cscript%3Ealert(1)%3C/script%3E%22";
    for query in [
        format!("?view=deliveries&model={script}"),
        format!("?view=deliveries&inference={script}"),
        format!("?view=deliveries&since={script}"),
        format!("?view={script}"),
        format!("?view=overview&done={script}&number=1"),
        format!("?view=overview&done=erased&number={script}"),
        format!("?confirm=retry-all&inference={script}"),
        format!("?confirm=pause&model={script}"),
    ] {
        assert_harmless(&setup.get(&query).await);
    }
}

#[tokio::test]
async fn every_response_forbids_sniffing_framing_caching_and_foreign_content() {
    let setup = Setup::new();
    let delivery = setup.pending(Sample::of(CAPTIONS).body(SCRIPT)).await;
    for query in [
        "",
        "?view=deliveries",
        "?view=other",
        "other",
        "?file=style",
        "?file=script",
        "?file=icon",
        &format!("?view=delivery&id={}", delivery.id()),
        &format!("?download={}", delivery.id()),
    ] {
        let answer = setup.get(query).await;
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"));
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("base-uri 'none'"));
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{query}");
        assert_eq!(answer.header("cache-control"), "no-store", "{query}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{query}");
        assert_eq!(answer.header("referrer-policy"), "same-origin", "{query}");
    }
}

#[tokio::test]
async fn long_and_deeply_nested_bodies_give_short_pages() {
    let setup = Setup::new();
    let long = format!("\"{}\"", "<".repeat(10 << 20));
    let many = format!("[{}0]", "{\"a\":0},".repeat(1 << 20));
    let deep = format!("{}{}", "[".repeat(1 << 20), "]".repeat(1 << 20));
    let open = "{\"a\":".repeat(1 << 20);
    for body in [long, many, deep, open] {
        let delivery = setup.pending(Sample::of(CAPTIONS).body(body)).await;
        for form in ["", "&body=tree", "&body=text", "&body=hex"] {
            let answer = setup.get(&format!("?view=delivery&id={}{form}", delivery.id())).await;
            assert_eq!(answer.status, 200);
            assert!(answer.bytes.len() < 1 << 20, "{form}: {}", answer.bytes.len());
        }
    }
}

#[tokio::test]
async fn right_to_left_and_control_characters_are_shown_as_escapes() {
    let setup = Setup::new();
    let text = "safe\u{202e}gpj.exe\u{2066}\u{0}\u{1b}[31m\u{feff}";
    let delivery = setup.settled(Sample::of(CAPTIONS).body(text), Outcome::dead(text)).await;
    for query in ["?view=deliveries", &format!("?view=delivery&id={}", delivery.id())] {
        let page = setup.get(query).await.text();
        assert!(page.contains("\\u{202e}"), "{page}");
        let is_hidden =
            |c: char| matches!(c, '\u{202e}' | '\u{2066}' | '\u{feff}' | '\0' | '\u{1b}');
        assert!(!page.contains(is_hidden), "{page}");
    }
}

#[tokio::test]
async fn head_with_bytes_that_are_no_text_is_shown() {
    let setup = Setup::new();
    let delivery = setup.pending(caption("1").header("x-bytes", b"\xff\xfe<a>")).await;
    let page = setup.get(&format!("?view=delivery&id={}", delivery.id())).await;
    assert!(page.text().contains("\u{fffd}\u{fffd}&lt;a&gt;"), "{}", page.text());
}
