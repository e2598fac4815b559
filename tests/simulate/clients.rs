//! Mindee's own clients, for Python and for Node, against the simulated API: they enqueue, poll, and read the posted
//! results.

use std::{
    env,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower_inbox::{
    Inbox, MemoryArchive, Model, Secret,
    archive::Query,
    provider::mindee,
    simulate::{Mindee, Product, Target, Webhook},
};

use crate::support::SECRET;

/// A model for each product, at a path with its name.
fn inbox() -> Inbox {
    let model = |product| -> Model {
        let secret = Secret::new(SECRET);
        match product {
            Product::Classification => {
                mindee::classification::<mindee::Fields>().signed_with(secret)
            }
            Product::Crop => mindee::crop::<mindee::Fields>().signed_with(secret),
            Product::Split => mindee::split::<mindee::Fields>().signed_with(secret),
            Product::Ocr => mindee::ocr().signed_with(secret),
            _ => mindee::extraction::<mindee::Fields>().signed_with(secret),
        }
    };
    let mut inbox = Inbox::builder(MemoryArchive::new());
    for product in Product::ALL {
        inbox = inbox.model(format!("/{product}"), model(*product));
    }
    inbox.build().unwrap()
}

fn mindee(inbox: &Inbox) -> Mindee {
    let app = axum::Router::new()
        .fallback(async |request: axum::extract::Request| {
            drop(request.into_body().collect().await);
        })
        .layer(inbox.layer());
    let mut mindee = Mindee::builder();
    for product in Product::ALL {
        let target = Target::service(app.clone(), &format!("/{product}")).unwrap();
        let id = format!("model-{product}");
        let webhook = Webhook::new(product.name(), target, Secret::new(SECRET)).of_model(&id);
        mindee = mindee.webhook(webhook).model(id, format!("Sample of {product}"), *product);
    }
    mindee.build()
}

/// One of Mindee's clients, with the script that uses it.
#[derive(Clone, Copy, Debug)]
enum Client {
    Python,
    Node,
}

impl Client {
    /// The command that runs the script.
    fn command(self) -> Command {
        let (program, script) = match self {
            Self::Python => (env::var("INBOX_PYTHON").ok(), "python_client.py"),
            Self::Node => (None, "node_client.mjs"),
        };
        let default = match self {
            Self::Python => "python3",
            Self::Node => "node",
        };
        let mut command = Command::new(program.as_deref().unwrap_or(default));
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/simulate").join(script));
        command
    }

    /// The variable that says where the client is installed.
    fn variable(self) -> &'static str {
        match self {
            Self::Python => "INBOX_PYTHON",
            Self::Node => "INBOX_NODE_MODULES",
        }
    }

    /// What the script prints if the client is not installed.
    fn missing(self) -> &'static str {
        match self {
            Self::Python => "No module named 'mindee'",
            Self::Node => "Cannot find module 'mindee'",
        }
    }

    /// Runs the script, and returns its lines. `None`, with a note, if the client is optional and not installed.
    fn run(self, url: &str, arguments: &[&str], input: &str) -> Option<Vec<Value>> {
        let child = self
            .command()
            .args(arguments)
            .env("MINDEE_V2_BASE_URL", url)
            .env("MINDEE_V2_API_KEY", "md_key")
            .env("NO_PROXY", "127.0.0.1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = match child {
            Ok(child) => child,
            Err(error) => return self.not_installed(&error.to_string()),
        };
        // A script that failed has closed its input.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        if errors.contains(self.missing()) {
            return self.not_installed(&errors);
        }
        assert!(output.status.success(), "{self:?} {arguments:?}: {errors}");
        let lines = String::from_utf8(output.stdout).unwrap();
        Some(lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
    }

    /// Fails if the client is required.
    fn not_installed(self, reason: &str) -> Option<Vec<Value>> {
        let is_set = |name: &str| env::var_os(name).is_some();
        assert!(self.may_be_missing(is_set), "Mindee's client is not installed: {reason}");
        eprintln!(
            "not tested with Mindee's client for {self:?}: install `mindee`, and set {}",
            self.variable()
        );
        None
    }

    /// Returns true if the client sends the alias. That for Node, 5.2.0, leaves it out of extractions.
    fn sends_alias(self, product: &str) -> bool {
        matches!(self, Self::Python) || product != "extraction"
    }

    /// Returns true if the client is optional: outside of CI, if its variable is not set.
    fn may_be_missing(self, is_set: impl Fn(&str) -> bool) -> bool {
        !["CI", self.variable()].into_iter().any(is_set)
    }
}

#[test]
fn mindee_clients_are_required_in_ci() {
    for client in [Client::Python, Client::Node] {
        assert!(client.may_be_missing(|_| false));
        for name in ["CI", client.variable()] {
            assert!(!client.may_be_missing(|set| set == name), "{name}");
        }
    }
}

async fn run_blocking(
    client: Client,
    url: &str,
    arguments: &[&str],
    input: String,
) -> Option<Vec<Value>> {
    let url = url.to_owned();
    let arguments: Vec<_> = arguments.iter().map(|&one| one.to_owned()).collect();
    let run =
        move || client.run(&url, &arguments.iter().map(|one| &**one).collect::<Vec<_>>(), &input);
    tokio::task::spawn_blocking(run).await.unwrap()
}

/// The archived deliveries as lines for the script.
async fn posted(inbox: &Inbox) -> String {
    let (mut found, mut lines) = (inbox.archive().scan(Query::all()), String::new());
    while let Some(archived) = found.next().await {
        let delivery = archived.unwrap().delivery;
        let line = json!({
            "product": delivery.model().as_str().trim_start_matches('/'),
            "secret": SECRET,
            "signature": delivery.head().headers()["x-signature"].to_str().unwrap(),
            "body": std::str::from_utf8(delivery.body()).unwrap(),
        });
        lines.push_str(&line.to_string());
        lines.push('\n');
    }
    lines
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mindee_python_client_enqueues_polls_and_reads_what_was_posted() {
    enqueue_poll_and_read(Client::Python).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mindee_node_client_enqueues_polls_and_reads_what_was_posted() {
    enqueue_poll_and_read(Client::Node).await;
}

async fn enqueue_poll_and_read(client: Client) {
    let inbox = inbox();
    let mindee = mindee(&inbox);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(mindee.clone().serve(listener));

    let webhooks = Product::ALL.iter().map(|product| product.name()).collect::<Vec<_>>().join(",");
    let Some(polled) = run_blocking(client, &url, &["poll", &webhooks], String::new()).await else {
        return;
    };
    assert_eq!(polled.len(), Product::ALL.len());
    for one in &polled {
        let has_alias = client.sends_alias(one["product"].as_str().unwrap());
        let alias = has_alias.then_some("order-7");
        assert_eq!((&one["alias"], &one["file"]), (&json!(alias), &json!("tea.pdf")), "{one}");
    }

    mindee.idle().await;
    inbox.settled().await;
    let read = run_blocking(client, &url, &["posted"], posted(&inbox).await).await.unwrap();
    assert_eq!(sorted(read), sorted(polled), "the posted results are the polled ones");

    mindee.delete_webhook("ocr");
    let errors = run_blocking(client, &url, &["errors", "ocr"], String::new()).await.unwrap();
    let expected =
        json!({"status": 422, "detail": "There is no webhook 'ocr'.", "pointer": "webhook_ids"});
    assert_eq!(errors, [expected.clone(), expected]);
    server.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mindee_python_client_finds_the_models_and_their_webhooks() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(mindee(&inbox()).serve(listener));
    let search = async |filter: &'static str| {
        run_blocking(Client::Python, &url, &["models", filter], String::new()).await
    };
    let Some(all) = search("{}").await else { return };
    let found = |product: Product| {
        json!({
            "id": format!("model-{product}"),
            "name": format!("Sample of {product}"),
            "type": product.name(),
            "webhooks": [[product.name(), product.name(), format!("http://localhost/{product}")]],
        })
    };
    let (models, pagination) = all.split_at(all.len() - 1);
    assert!(models.iter().eq(&Product::ALL.iter().map(|one| found(*one)).collect::<Vec<_>>()));
    assert_eq!(pagination, [json!({"page": 1, "per_page": 50, "items": 5, "pages": 1})]);

    let filtered = search(r#"{"name": "SAMPLE", "model_type": "crop"}"#).await.unwrap();
    assert_eq!(filtered[0], found(Product::Crop));
    assert_eq!(filtered[1]["items"], 1);
    let second = search(r#"{"page": 2, "per_page": 3}"#).await.unwrap();
    assert_eq!(second[..2], [found(Product::Split), found(Product::Ocr)]);
    assert_eq!(second[2], json!({"page": 2, "per_page": 3, "items": 5, "pages": 2}));
    server.abort();
}

fn sorted(mut summaries: Vec<Value>) -> Vec<Value> {
    summaries.sort_by_key(|summary| summary["product"].to_string());
    summaries
}
