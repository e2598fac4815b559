//! The guide: pages that explain how to use the crate, from the first delivery to operation in production.
//!
//! | page | contents |
//! |---|---|
//! | [`getting_started`] | a receiver from an empty directory: archive, model, handler, first delivery |
//! | [`mounting`] | axum, hyper and tower; other middleware around and inside the inbox; the service for the workers |
//! | [`handlers`] | idempotent handlers, versions, statuses, reasons of failures |
//! | [`expected_results`] | results that do not arrive: record what is due, fetch what is overdue |
//! | [`testing`] | tests of a handler without a server and without a disk |
//! | [`local_development`] | webhooks on your machine: `inbox listen`, tunnels, nginx, TLS |
//! | [`schema_changes`] | what happens when a provider changes its format; checks before a deploy |
//! | [`providers`] | the providers, what each posts, and what that was verified against |
//! | [`own_provider`] | a model of a sender that is not in the list |
//! | [`archive`] | what the disk archive promises, backup, retention, repeats |
//! | [`many_nodes`] | an archive on PostgreSQL for several receivers: which archive to choose, failover, operation |
//! | [`operation`] | health probes, systemd, Kubernetes, rotation of secrets, erasure, upgrades, alerts |
//! | [`http`] | timeouts, limits, compressed bodies, what the server answers before the inbox sees a request |
//! | [`metrics`] | metrics, dashboard, alerts |
//! | [`page`](mod@page) | the web page to operate an inbox: guards, contents, security |
//! | [`security`] | the threat model: attacks, limits, and the tests of the limits |
//! | [`benchmarks`] | measurements: methods, results, and how far to trust them |
//!
//! The pages are in the folder `docs` of the repository. Their code is compiled and run by `cargo test --doc
//! --all-features`. Without the feature `full` the pages are empty, because their code needs all features.

/// Declares the module of a page. Links between pages lead to modules here, and to files in the repository: the
/// definitions in front of the page take precedence over those at its end.
macro_rules! page {
    ($name:ident, $file:literal) => {
        #[cfg_attr(
            feature = "full",
            doc = "[getting-started]: crate::guide::getting_started\n",
            doc = "[mounting]: crate::guide::mounting\n",
            doc = "[handlers]: crate::guide::handlers\n",
            doc = "[expected-results]: crate::guide::expected_results\n",
            doc = "[testing]: crate::guide::testing\n",
            doc = "[local-development]: crate::guide::local_development\n",
            doc = "[schema-changes]: crate::guide::schema_changes\n",
            doc = "[providers]: crate::guide::providers\n",
            doc = "[own-provider]: crate::guide::own_provider\n",
            doc = "[archive]: crate::guide::archive\n",
            doc = "[backups]: crate::guide::archive#backups\n",
            doc = "[retention]: crate::guide::archive#retention\n",
            doc = "[many-nodes]: crate::guide::many_nodes\n",
            doc = "[operation]: crate::guide::operation\n",
            doc = "[alerts]: crate::guide::operation#when-an-alert-fires\n",
            doc = "[http]: crate::guide::http\n",
            doc = "[shutdown]: crate::guide::http#shutdown\n",
            doc = "[metrics]: crate::guide::metrics\n",
            doc = "[page]: mod@crate::guide::page\n",
            doc = "[page-overview]: https://raw.githubusercontent.com/tower-inbox/tower-inbox/main/docs/page-overview.png\n",
            doc = "[page-delivery]: https://raw.githubusercontent.com/tower-inbox/tower-inbox/main/docs/page-delivery.png\n",
            doc = "[page-temporary]: https://raw.githubusercontent.com/tower-inbox/tower-inbox/main/docs/page-temporary.png\n",
            doc = "[security]: crate::guide::security\n",
            doc = "[benchmarks]: crate::guide::benchmarks\n",
            doc = "[growth]: crate::guide::benchmarks#growth\n",
            doc = "\n",
            doc = include_str!(concat!("../docs/", $file))
        )]
        #[cfg_attr(
            not(feature = "full"),
            doc = concat!("The page `docs/", $file, "`. Enable the feature `full` to read it here.")
        )]
        pub mod $name {}
    };
}

page!(getting_started, "getting-started.md");
page!(mounting, "mounting.md");
page!(handlers, "handlers.md");
page!(expected_results, "expected-results.md");
page!(testing, "testing.md");
page!(local_development, "local-development.md");
page!(schema_changes, "schema-changes.md");
page!(providers, "providers.md");
page!(own_provider, "own-provider.md");
page!(archive, "archive.md");
page!(many_nodes, "many-nodes.md");
page!(operation, "operation.md");
page!(http, "http.md");
page!(metrics, "metrics.md");
page!(page, "page.md");
page!(security, "security.md");
page!(benchmarks, "benchmarks.md");
