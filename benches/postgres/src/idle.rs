//! The statements of a node without deliveries.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use tokio_postgres::Client;
use tower::service_fn;
use tower_inbox::{
    Inbox, Secret, Workers, archive::PostgresArchive, layer::InboxBody, provider::foxyai,
};

use crate::{options::Options, server::Server};

const STATEMENTS: &str = "SELECT query, sum(calls)::float8 FROM pg_stat_statements \
    WHERE query NOT LIKE '%pg_stat%' GROUP BY query ORDER BY 2 DESC";

pub(crate) async fn run(server: &Server, client: &Client, options: &Options) {
    let time = options.idle;
    client.batch_execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements").await.unwrap();
    client.batch_execute("DROP SCHEMA IF EXISTS inbox CASCADE").await.unwrap();
    let archive = PostgresArchive::connect(&server.url).await.unwrap();
    let model = foxyai::image_group().token_in_query("token", Secret::new("a-long-random-token"));
    let inbox = Inbox::builder(archive).model("/hooks/property", model);
    let inbox = inbox.background(Workers::new(16)).build().unwrap();
    let handler = service_fn(|_: http::Request<InboxBody<Full<Bytes>>>| async {
        Ok::<_, Infallible>(http::Response::new(Full::<Bytes>::default()))
    });
    inbox.start_workers::<Full<Bytes>>(handler).unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    client.batch_execute("SELECT pg_stat_statements_reset()").await.unwrap();
    tokio::time::sleep(time).await;
    let rows = client.query(STATEMENTS, &[]).await.unwrap();
    let all: f64 = rows.iter().map(|row| row.get::<_, f64>(1)).sum();
    println!("an idle node: {:.2} statements per second", all / time.as_secs_f64());
    for row in &rows {
        let statement: String = row.get::<_, String>(0).chars().take(60).collect();
        println!("  {:>6.2} {statement}", row.get::<_, f64>(1) / time.as_secs_f64());
    }
    inbox.shutdown(Duration::from_secs(5)).await;
    println!();
}
