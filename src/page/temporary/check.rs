//! Checks the signature of a received request by a secret that a user typed in.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use http_body::Body;
use maud::{Markup, html};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::{
    endpoints::ReceivedRequest,
    receive::{ReadError, read},
    scheme::{ChoiceError, scheme},
};
use crate::{
    page::{doctor, format},
    signature::{
        Proof, Scheme, SchemeError, Secret, SignatureError,
        doctor::{Finding, HeadFinding, examine, examine_head},
    },
};

/// The maximum length of a form, in bytes.
const MOST_FORM: usize = 4 << 10;

/// The maximum time for reading a form.
const FORM_TIMEOUT: Duration = Duration::from_secs(10);

/// What a user typed in. Without `Debug`, so that no log has the secret.
pub(in crate::page) struct Form {
    scheme: Box<dyn Scheme>,
    fields: Fields,
}

/// The fields that are shown again. The secret is not.
#[derive(Default)]
pub(super) struct Fields {
    pub(super) choice: String,
    pub(super) place: String,
    pub(super) prefix: String,
}

/// Why a form cannot be used.
#[derive(Debug, thiserror::Error)]
pub(in crate::page) enum FormError {
    #[error("the form cannot be read")]
    Read(#[from] ReadError),
    #[error("the secret is missing; type in the one that the provider shows")]
    NoSecret,
    #[error(transparent)]
    Choice(#[from] ChoiceError),
}

impl FormError {
    pub(in crate::page) fn status(&self) -> StatusCode {
        match self {
            Self::Read(error) => error.status(),
            Self::NoSecret | Self::Choice(_) => StatusCode::BAD_REQUEST,
        }
    }
}

impl Form {
    /// Reads the form from the body of a request.
    pub(in crate::page) async fn read<B: Body>(body: B) -> Result<Self, FormError> {
        // With its whole capacity from the start, so that no copy of the secret is left by a reallocation.
        let mut bytes = Zeroizing::new(Vec::with_capacity(MOST_FORM));
        read(body, &mut bytes, MOST_FORM, FORM_TIMEOUT).await?;
        Self::parse(&bytes)
    }

    fn parse(bytes: &[u8]) -> Result<Self, FormError> {
        let (mut secret, mut fields) = (Zeroizing::new(String::new()), Fields::default());
        for (name, value) in form_urlencoded::parse(bytes) {
            match &*name {
                // Not trimmed: the doctor finds white space around a secret.
                "secret" => secret = Zeroizing::new(value.into_owned()),
                "scheme" => fields.choice = value.into_owned(),
                "place" => value.trim().clone_into(&mut fields.place),
                "prefix" => fields.prefix = value.into_owned(),
                _ => {}
            }
        }
        if secret.is_empty() {
            return Err(FormError::NoSecret);
        }
        let secret = Secret::new(&*secret).named("entered");
        let scheme = scheme(&fields.choice, secret, &fields.place, &fields.prefix)?;
        Ok(Self { scheme, fields })
    }
}

/// Limits checks to one at a time, because each hashes a body several times. Clones share the limit.
#[derive(Clone)]
pub(in crate::page) struct Checker(Arc<Semaphore>);

impl Default for Checker {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl Checker {
    /// Checks a request as of its time of receipt. `None` if the check panicked.
    pub(super) async fn check(
        &self,
        received: Arc<ReceivedRequest>,
        form: Form,
    ) -> Option<Checked> {
        // The semaphore is never closed.
        let permit = Arc::clone(&self.0).acquire_owned().await.ok()?;
        let checking = tokio::task::spawn_blocking(move || {
            let checked = Checked::new(&received, form);
            drop(permit);
            checked
        });
        checking.await.ok()
    }
}

/// The result of a check. Contains no secret, and nothing of the request.
pub(super) struct Checked {
    pub(super) fields: Fields,
    /// Why the secret cannot be that of the scheme.
    invalid: Option<SchemeError>,
    result: Result<Proof, SignatureError>,
    hint: Option<HeadFinding>,
    findings: Vec<Finding>,
}

impl Checked {
    fn new(received: &ReceivedRequest, form: Form) -> Self {
        let Form { scheme, fields } = form;
        let ReceivedRequest { head, body, received_at, .. } = received;
        let result = scheme.verify(head, body, *received_at);
        let (hint, findings) = match &result {
            Ok(_) => (None, Vec::new()),
            Err(error) => (examine_head(error, head), examine(&*scheme, head, body, *received_at)),
        };
        Self { fields, invalid: scheme.check().err(), result, hint, findings }
    }

    pub(super) fn html(&self) -> Markup {
        match &self.result {
            Ok(_) => html! {
                section.outcome.processed {
                    p { strong { "The signature is accepted." } }
                    (self.invalid_secret())
                }
            },
            Err(error) => self.rejected(error),
        }
    }

    fn rejected(&self, error: &SignatureError) -> Markup {
        html! {
            section.outcome.dead {
                (doctor::explanation(error, self.hint.as_ref(), &self.findings, &[]))
                (self.invalid_secret())
            }
        }
    }

    fn invalid_secret(&self) -> Markup {
        html! {
            @if let Some(invalid) = &self.invalid { p { (format::foreign(&invalid.to_string())) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    async fn error(form: &str) -> FormError {
        let form = Form::read(Full::new(bytes::Bytes::from(form.to_owned()))).await;
        form.err().unwrap()
    }

    #[tokio::test]
    async fn form_that_is_too_long_or_has_no_secret_is_an_error_without_the_secret() {
        let long = error(&format!("secret=hunter2{}", "x".repeat(MOST_FORM))).await;
        assert_eq!(long.status(), StatusCode::PAYLOAD_TOO_LARGE);
        let missing = error("scheme=mindee&secret=").await;
        assert!(matches!(missing, FormError::NoSecret));
        let unknown = error("scheme=other&secret=hunter2").await;
        assert!(unknown.to_string().contains("'other'"));
        for error in [long, missing, unknown] {
            assert!(!format!("{error} {error:?}").contains("hunter"), "{error:?}");
        }
    }
}
