//! The example `receiver` as a separate process.

use std::{
    env,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, Error, connect::HttpConnector},
    rt::TokioExecutor,
};
use tower_inbox::signature::Scheme;

/// A secret in base64, the format of Standard Webhooks. Other schemes use the text as is.
pub(crate) const SECRET: &str = "whsec_dGhlIHJlY2VpdmVyJ3Mgc2VjcmV0";
pub(crate) const EXTRACTION: &str = "/hooks/mindee/extraction";
pub(crate) const IMAGE_GROUP: &str = "/hooks/foxyai/image-group";

/// The response timeout, long enough for a busy machine.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) struct Receiver {
    child: Child,
    address: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Receiver {
    /// Starts a receiver on a free port, with [`SECRET`].
    pub(crate) fn start(archive: &Path, arguments: &[&str]) -> Self {
        Self::of(&mut command(archive, arguments))
    }

    /// Starts a command that [`command`] created.
    pub(crate) fn of(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").expect(&line).to_owned();
        Self { child, address, client: Client::builder(TokioExecutor::new()).build_http() }
    }

    pub(crate) async fn post(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Response<Incoming>, Error> {
        let mut request = Request::post(format!("{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Full::new(body.into())).unwrap()).await
    }

    /// Returns the response, or an error if the process has ended. Panics after the timeout.
    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Error> {
        let answer = tokio::time::timeout(RESPONSE_TIMEOUT, self.client.request(request)).await;
        answer.unwrap_or_else(|_| panic!("{} does not respond and does not exit", self.address))
    }

    /// Posts an extraction with a signature over its exact bytes.
    pub(crate) async fn post_signed(
        &self,
        body: impl Into<Bytes>,
    ) -> Result<Response<Incoming>, Error> {
        let body = body.into();
        let signature = signature(&body);
        self.post(EXTRACTION, &[("x-signature", &signature)], body).await
    }

    /// Posts a body, signed now with `scheme`.
    pub(crate) async fn post_signed_by(
        &self,
        scheme: &dyn Scheme,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Result<Response<Incoming>, Error> {
        let body = body.into();
        let request = Request::post(format!("{}{path}", self.address)).body(()).unwrap();
        let (mut head, ()) = request.into_parts();
        let signature = scheme.signature("msg_1", &body, SystemTime::now()).unwrap();
        signature.add_to(&mut head).unwrap();
        self.send(Request::from_parts(head, Full::new(body))).await
    }

    pub(crate) fn address(&self) -> &str {
        self.address.strip_prefix("http://").unwrap()
    }

    /// Sends SIGKILL.
    pub(crate) fn kill(&self) {
        self.signal("-KILL");
    }

    /// Waits until the process exits by itself.
    pub(crate) async fn ended(mut self) -> ExitStatus {
        for _ in 0..600 {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the process did not exit within 30 s");
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        self.signal("-TERM");
    }

    /// Sends SIGTERM, and waits for the exit.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.terminate();
        self.child.wait().unwrap()
    }

    /// Sends SIGTERM, and returns what the process wrote to its piped stderr.
    pub(crate) fn stop_and_read_errors(mut self) -> String {
        let mut pipe = self.child.stderr.take().unwrap();
        assert!(self.stop().success());
        let mut errors = String::new();
        pipe.read_to_string(&mut errors).unwrap();
        errors
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn command(archive: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(example());
    command
        .args(["--listen", "127.0.0.1:0", "--secret", SECRET, "--archive"])
        .arg(archive)
        .args(arguments)
        .env("RUST_LOG", "error")
        .stdout(Stdio::piped());
    command
}

pub(crate) fn signature(body: &[u8]) -> String {
    let secret = tower_inbox::Secret::new(SECRET);
    tower_inbox::provider::mindee::signature(secret).sign(body).unwrap()
}

/// The path of the example, which cargo builds with the tests unless only this test is built.
fn example() -> PathBuf {
    let tests = env::current_exe().unwrap();
    let example = tests.parent().unwrap().with_file_name("examples").join("receiver");
    assert!(
        example.exists(),
        "there is no {}: build it with `cargo build --example receiver --all-features`",
        example.display()
    );
    example
}
