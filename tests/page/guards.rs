//! Who may use the page.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::Request;
use tower_inbox::{Archive, Outcome, Secret, page::Guard};

use super::support::*;

#[tokio::test]
async fn nothing_is_answered_without_the_password() {
    let setup = Setup::new();
    let delivery = setup.settled(caption("1"), Outcome::dead("404")).await;
    let id = delivery.id();
    let page = setup.inbox.page(Guard::basic("inbox", Secret::new(PASSWORD)).unwrap());
    let right = format!("Basic {}", STANDARD.encode(format!("inbox:{PASSWORD}")));
    let wrong = format!("Basic {}", STANDARD.encode("inbox:a long passwore"));
    let of = async |method: &str, query: &str, authorization: Option<&str>| {
        let mut request = Request::builder().method(method).uri(format!("/{query}"));
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        send(page.clone(), request.body(String::new()).unwrap()).await
    };
    for query in [
        "",
        "?file=style",
        "?file=script",
        "?view=deliveries",
        "?view=events",
        &format!("?view=delivery&id={id}"),
        &format!("?download={id}"),
        "?view=unknown",
        "unknown",
    ] {
        for authorization in [None, Some(wrong.as_str())] {
            let answer = of("GET", query, authorization).await;
            assert_eq!(answer.status, 401, "{query}");
            assert_eq!(
                answer.header("www-authenticate"),
                "Basic realm=\"inbox\", charset=\"UTF-8\""
            );
            assert!(!answer.text().contains(&id.to_string()));
        }
    }
    let erase = format!("?action=erase&id={id}");
    assert_eq!(of("POST", &erase, None).await.status, 401);
    assert!(setup.archive.get(id).await.unwrap().is_some());
    assert_eq!(of("GET", "", Some(&right)).await.status, 200);
    assert_eq!(of("POST", &erase, Some(&right)).await.status, 303);
}

#[tokio::test]
async fn name_of_the_user_that_a_check_returns_is_escaped() {
    let setup = Setup::new();
    let page = setup.inbox.page(Guard::with(|_| Some("<b>bob</b>".to_owned())));
    let text = get(page, "").await.text();
    assert!(text.contains("&lt;b&gt;bob&lt;/b&gt;") && !text.contains("<b>"));
    let nobody = setup.inbox.page(Guard::with(|_| None));
    assert_eq!(get(nobody, "").await.status, 403);
}
