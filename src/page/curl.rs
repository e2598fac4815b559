//! A delivery as a `curl` command that posts it again.

use http::header;

use super::format::is_odd;
use crate::delivery::Delivery;

/// The longest body that becomes a part of the command.
const INLINE: usize = 4096;

/// Headers that belong to the connection, or that curl sets.
const LEFT_OUT: [header::HeaderName; 6] = [
    header::HOST,
    header::CONTENT_LENGTH,
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::EXPECT,
    header::ACCEPT_ENCODING,
];

/// The command. Secrets are redacted, as in the archive. A body that is long or no plain text is read from the file
/// that the page offers as a download.
pub(super) fn command(delivery: &Delivery) -> String {
    let head = delivery.head();
    let url = format!("http://{}{}", head.host().unwrap_or("localhost"), head.uri());
    let mut lines = vec![format!("curl -X {} {}", quoted(head.method().as_str()), quoted(&url))];
    for (name, value) in head.headers() {
        let Some(value) = value.to_str().ok().filter(|_| !LEFT_OUT.contains(name)) else {
            continue;
        };
        // curl takes "name:" as a header to leave out.
        let line = if value.is_empty() { format!("{name};") } else { format!("{name}: {value}") };
        lines.push(format!("-H {}", quoted(&line)));
    }
    lines.push(match inline(delivery.body()) {
        // Unlike --data-binary, it does not take "@name" for the name of a file.
        Some(text) => format!("--data-raw {}", quoted(text)),
        None => format!("--data-binary @{}.body", delivery.id()),
    });
    lines.join(" \\\n  ")
}

/// The body, if it is short and safe to paste into a terminal.
fn inline(body: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(body).ok().filter(|text| text.len() <= INLINE)?;
    let is_safe = |c: char| !is_odd(c) && c != '\r' && c != '\t';
    text.chars().all(is_safe).then_some(text)
}

/// One word for a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::{process::Command, time::SystemTime};

    use bytes::Bytes;
    use http::{HeaderValue, Request};

    use super::*;
    use crate::{
        delivery::{DeliveryId, Redaction},
        signature::Proof,
    };

    fn delivery(header: &[u8], body: &'static [u8]) -> Delivery {
        let request = Request::post("/m?a=$(id)'")
            .header("host", "example.com")
            .header("x-hostile", HeaderValue::from_bytes(header).unwrap());
        let (head, ()) = request.body(()).unwrap().into_parts();
        let (id, model) = (DeliveryId::new(), "/m".parse().unwrap());
        let (proof, redaction) = (Proof::new("none", "none", "raw"), Redaction::default());
        let body = Bytes::from_static(body);
        Delivery::received(id, model, &head, body, SystemTime::now(), proof, &redaction)
    }

    /// The words that a shell passes to curl.
    fn words(command: &str) -> Vec<String> {
        let script = format!("curl() {{ printf '%s\\0' \"$@\"; }}\n{command}");
        let output = Command::new("sh").arg("-c").arg(script).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        text.split_terminator('\0').map(str::to_owned).collect()
    }

    #[test]
    fn shell_passes_hostile_values_to_curl_unchanged() {
        let delivery = delivery(b"'; touch /tmp/x #", b"@/etc/passwd'\n`id` $HOME \\");
        let words = words(&command(&delivery));
        assert_eq!(words[..3], ["-X", "POST", "http://example.com/m?a=$(id)'"]);
        assert_eq!(words[3..5], ["-H", "x-hostile: '; touch /tmp/x #"]);
        assert_eq!(words[5..], ["--data-raw", "@/etc/passwd'\n`id` $HOME \\"]);
    }

    #[test]
    fn body_with_control_characters_is_read_from_a_file() {
        for body in [&b"\x1b[2J"[..], b"\xff", &[b'a'; INLINE + 1], "\u{202e}".as_bytes()] {
            let delivery = delivery(b"a", Box::leak(body.into()));
            let file = format!("--data-binary @{}.body", delivery.id());
            assert!(command(&delivery).ends_with(&file));
        }
    }
}
