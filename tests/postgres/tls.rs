//! Connections over TLS, to a server that accepts no others from the role of the archive.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
    time::Duration,
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tower_inbox::{
    Archive,
    archive::{Append, ArchiveError, PostgresArchive, PostgresUrl},
    testing::Sample,
};

use super::support::Server;

const PASSWORD: &str = "hunter2:\\'%";
/// The password, as in a URL and in a password file.
const IN_URL: &str = "hunter2%3A%5C%27%25";
const IN_FILE: &str = "hunter2\\:\\\\'%";

/// A server with a certificate for `localhost`.
struct TlsServer {
    server: Server,
    files: TempDir,
}

fn server() -> &'static TlsServer {
    static SHARED: OnceLock<TlsServer> = OnceLock::new();
    SHARED.get_or_init(TlsServer::start)
}

/// Returns the certificate of an authority with this name, and the certificate that it issues for `localhost`, with its key.
fn certificates(name: &str) -> [String; 3] {
    let (authority_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut authority = CertificateParams::new([]).unwrap();
    authority.distinguished_name.push(DnType::CommonName, name);
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = authority.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = certificate.signed_by(&key, &issuer).unwrap();
    [root.pem(), certificate.pem(), key.serialize_pem()]
}

impl TlsServer {
    fn start() -> Self {
        let files = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = files.path().join(name);
            fs::write(&path, text).unwrap();
            set_mode(&path, 0o600);
        };
        let [root, certificate, key] = certificates("one");
        write("root.pem", &root);
        write("other.pem", &certificates("other")[0]);
        write("same-name.pem", &certificates("one")[0]);
        write("certificate.pem", &certificate);
        write("key.pem", &key);
        write("pgpass", &format!("localhost:*:postgres:inbox:{IN_FILE}\n"));
        write(
            "hba.conf",
            "hostnossl all postgres 127.0.0.1/32 trust\n\
             hostssl all inbox 127.0.0.1/32 scram-sha-256\n",
        );
        // Fails if the tests do not run as root. The server then runs as the same user.
        let _ = Command::new("chown").args(["-R", "postgres"]).arg(files.path()).status();
        let path = |name: &str| files.path().join(name).display().to_string();
        let server = Server::start(&format!(
            "ssl = on\nssl_cert_file = '{}'\nssl_key_file = '{}'\nhba_file = '{}'",
            path("certificate.pem"),
            path("key.pem"),
            path("hba.conf"),
        ));
        Self { server, files }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    /// Creates the role of the archive, and a schema of its own.
    async fn create_schema(&self, name: &str) {
        let client = self.server.client().await;
        let role = format!(
            "DO $$ BEGIN PERFORM pg_advisory_xact_lock(1); \
               IF to_regrole('inbox') IS NULL THEN CREATE ROLE inbox LOGIN PASSWORD '{}'; END IF; END $$; \
             CREATE SCHEMA {name} AUTHORIZATION inbox; GRANT CREATE ON DATABASE postgres TO inbox",
            PASSWORD.replace('\'', "''"),
        );
        client.batch_execute(&role).await.unwrap();
    }

    fn url(&self, user: &str, host: &str, schema: &str, parameters: &str) -> String {
        let port = self.server.url.rsplit([':', '/']).nth(1).unwrap();
        format!("postgres://{user}@{host}:{port}/postgres?schema={schema}&{parameters}")
    }

    async fn open(
        &self,
        host: &str,
        schema: &str,
        parameters: &str,
    ) -> Result<PostgresArchive, ArchiveError> {
        let url = self.url(&format!("inbox:{IN_URL}"), host, schema, parameters);
        let builder = PostgresUrl::parse_with_env(&url)?.builder()?;
        let builder = builder.maintenance_interval(None).statement_deadline(Duration::from_secs(3));
        builder.open().await
    }
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// The text of an error with its sources.
fn text(error: &dyn std::error::Error) -> String {
    let source = error.source().map(text).unwrap_or_default();
    format!("{error}: {source}")
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn every_connection_is_encrypted_and_bound_to_the_certificate() {
    let server = server();
    server.create_schema("encrypted").await;
    let root = format!("sslrootcert={}", server.file("root.pem").display());
    let parameters = format!("sslmode=verify-full&channel_binding=require&{root}");
    let archive = server.open("localhost", "encrypted", &parameters).await.unwrap();
    let delivery = Sample::of("/hooks/a").body("one").delivery();
    let _ = archive.append(Append::new(delivery)).await.unwrap();

    let client = server.server.client().await;
    let sql = "SELECT count(*), count(*) FILTER (WHERE ssl) FROM pg_stat_ssl \
               JOIN pg_stat_activity USING (pid) WHERE usename = 'inbox'";
    let row = client.query_one(sql, &[]).await.unwrap();
    let (all, encrypted): (i64, i64) = (row.get(0), row.get(1));
    assert!(all >= 2 && all == encrypted, "{encrypted} of {all} connections are encrypted");
    archive.close().await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn certificate_is_verified_as_sslmode_demands() {
    let server = server();
    server.create_schema("verified").await;
    let file = |name: &str| server.file(name).display().to_string();
    let (root, other, same_name) = (file("root.pem"), file("other.pem"), file("same-name.pem"));
    for (host, parameters, advice) in [
        // The certificate is for `localhost`.
        ("localhost", format!("sslmode=verify-full&sslrootcert={root}"), None),
        ("127.0.0.1", format!("sslmode=verify-full&sslrootcert={root}"), Some("host name")),
        ("127.0.0.1", format!("sslmode=verify-ca&sslrootcert={root}"), None),
        ("127.0.0.1", format!("sslmode=require&sslrootcert={root}"), None),
        ("localhost", format!("sslmode=verify-full&sslrootcert={other}"), Some("set sslrootcert")),
        (
            "localhost",
            format!("sslmode=verify-full&sslrootcert={same_name}"),
            Some("set sslrootcert"),
        ),
        ("localhost", format!("sslmode=verify-ca&sslrootcert={other}"), Some("set sslrootcert")),
        ("localhost", format!("sslmode=require&sslrootcert={other}"), Some("set sslrootcert")),
        ("localhost", "sslmode=verify-full&sslrootcert=/nowhere".to_owned(), Some("/nowhere")),
        ("127.0.0.1", "sslmode=require".to_owned(), None),
        ("127.0.0.1", "sslmode=prefer".to_owned(), None),
        ("localhost", "sslmode=disable".to_owned(), Some("use sslmode=verify-full")),
    ] {
        match (server.open(host, "verified", &parameters).await, advice) {
            (Ok(archive), None) => archive.close().await,
            (Ok(_), Some(_)) => panic!("{host} {parameters}: connected"),
            (Err(error), advice) => {
                let text = text(&error);
                let advice = advice.unwrap_or_else(|| panic!("{host} {parameters}: {text}"));
                assert!(text.contains(advice), "{host} {parameters}: {text}");
                assert!(!format!("{text} {error:?}").contains("hunter2"), "{text} {error:?}");
            }
        }
    }
}

#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn server_without_tls_is_an_error_that_says_so() {
    let url = format!("{}?sslmode=require", super::support::server().url);
    let builder = PostgresUrl::parse_with_env(&url).unwrap().builder().unwrap();
    let error = builder.statement_deadline(Duration::from_secs(1)).open().await.unwrap_err();
    assert!(text(&error).contains("turn on ssl"), "{}", text(&error));
}

/// Runs `inbox list` with the settings of TLS and the password file in the environment.
#[cfg(feature = "cli")]
fn list(server: &TlsServer, root: &str, mode: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_inbox"))
        .args(["list", "--archive", &server.url("inbox", "localhost", "listed", "")])
        .env("PGPASSFILE", server.file("pgpass"))
        .env("PGSSLROOTCERT", server.file(root))
        .env("PGSSLMODE", mode)
        .env_remove("PGPASSWORD")
        .output()
        .unwrap()
}

#[cfg(feature = "cli")]
#[tokio::test]
#[ignore = "needs PostgreSQL: set INBOX_TEST_POSTGRES, and run with --include-ignored"]
async fn command_lists_over_tls_with_the_settings_of_the_environment() {
    let server = server();
    server.create_schema("listed").await;
    let parameters =
        format!("sslmode=verify-full&sslrootcert={}", server.file("root.pem").display());
    let archive = server.open("localhost", "listed", &parameters).await.unwrap();
    let delivery = Sample::of("/hooks/a").body("one").delivery();
    let id = delivery.id().to_string();
    let _ = archive.append(Append::new(delivery)).await.unwrap();
    for (root, mode, code, wanted) in [
        ("root.pem", "verify-full", 0, &*id),
        ("other.pem", "verify-full", 2, "set sslrootcert"),
        ("root.pem", "disable", 2, "use sslmode=verify-full"),
        ("root.pem", "full", 2, "invalid sslmode; expected"),
    ] {
        let output = list(server, root, mode);
        let written = format!("{output:?}");
        assert_eq!(output.status.code(), Some(code), "{mode} {root}: {written}");
        assert!(written.contains(wanted), "{mode} {root}: {written}");
        assert!(!written.contains("hunter2"), "{written}");
    }
    archive.close().await;
}
