//! Who may use the page.

use std::{fmt, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header, request::Parts};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::{delivery::Digest, layer::ResponseBody, signature::Secret};

/// Decides who may use the [page](crate::page) of an inbox. There is no page without a guard.
///
/// ```
/// use tower_inbox::{Secret, page::Guard};
///
/// let guard = Guard::basic("inbox", Secret::new("correct horse"))?;
/// # let _ = guard;
/// # Ok::<(), tower_inbox::page::GuardError>(())
/// ```
#[derive(Clone)]
pub struct Guard(Kind);

type Check = dyn Fn(&Parts) -> Option<String> + Send + Sync;

#[derive(Clone)]
enum Kind {
    /// The digest of `user:password`, and the user.
    Basic {
        digest: Digest,
        user: Arc<str>,
    },
    Check(Arc<Check>),
    Open,
}

/// Why a guard cannot be created.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GuardError {
    /// The user name is empty, or has a colon or a control character.
    #[error(
        "invalid user name for Basic authentication; use a name without colons and control characters"
    )]
    User,
    /// The password is empty.
    #[error("the password for the page is empty")]
    EmptyPassword,
}

/// The user of the page, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User(pub(super) Arc<str>);

/// The user of a page that is open to everyone.
const ANYONE: &str = "anyone";

/// Asks a browser for a user and a password.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Basic realm=\"inbox\", charset=\"UTF-8\"");

impl Guard {
    /// Requires this user and password by Basic authentication (RFC 7617). They are compared in constant time.
    ///
    /// The browser sends the password with every request: serve the page over TLS, or on a loopback address only. The
    /// number of attempts is not limited, so use a long random password.
    ///
    /// # Errors
    ///
    /// If the user name cannot be sent, or the password is empty.
    #[expect(clippy::needless_pass_by_value, reason = "as in schemes, a secret is passed by value")]
    pub fn basic(user: impl AsRef<str>, password: Secret) -> Result<Self, GuardError> {
        let user = user.as_ref();
        if user.is_empty() || user.contains(|c: char| c == ':' || c.is_control()) {
            return Err(GuardError::User);
        }
        if password.value().is_empty() {
            return Err(GuardError::EmptyPassword);
        }
        let credentials = Zeroizing::new([user.as_bytes(), b":", password.value()].concat());
        Ok(Self(Kind::Basic { digest: Digest::of(&credentials), user: user.into() }))
    }

    /// Requires that `check` returns the name of a user, which is logged with each change. Others get 403.
    ///
    /// For a server that authenticates requests already: `check` reads what its middleware put into the extensions, or
    /// a header that a proxy sets **and removes from the requests of clients**.
    ///
    /// ```
    /// use tower_inbox::page::Guard;
    ///
    /// #[derive(Clone)]
    /// struct Session {
    ///     user: String,
    ///     is_operator: bool,
    /// }
    ///
    /// let guard = Guard::with(|head| {
    ///     let session: &Session = head.extensions.get()?;
    ///     session.is_operator.then(|| session.user.clone())
    /// });
    /// # let _ = guard;
    /// ```
    pub fn with(check: impl Fn(&Parts) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Kind::Check(Arc::new(check)))
    }

    /// Requires nothing: **everyone who can send a request reads all bodies, and can retry and erase deliveries.**
    ///
    /// Only for a page behind a layer or a proxy that rejects all other requests.
    pub fn open_to_everyone() -> Self {
        Self(Kind::Open)
    }

    /// Returns the user of a request, or the response to reject it with.
    #[expect(clippy::result_large_err, reason = "the response is sent, not passed on")]
    pub(super) fn admit(&self, head: &Parts) -> Result<User, Response<ResponseBody>> {
        match &self.0 {
            Kind::Basic { digest, user } => {
                let given = credentials(&head.headers).map(|given| Digest::of(&given));
                let is_right = given.is_some_and(|given| {
                    bool::from(given.as_bytes().as_slice().ct_eq(digest.as_bytes()))
                });
                is_right.then(|| User(user.clone())).ok_or_else(unauthorized)
            }
            Kind::Check(check) => check(head)
                .map(|user| User(user.into()))
                .ok_or_else(|| rejection(StatusCode::FORBIDDEN)),
            Kind::Open => Ok(User(ANYONE.into())),
        }
    }
}

/// The decoded `user:password` of the request.
fn credentials(headers: &HeaderMap) -> Option<Zeroizing<Vec<u8>>> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, encoded) = value.split_at_checked("Basic ".len())?;
    if !scheme.eq_ignore_ascii_case(b"Basic ") {
        return None;
    }
    STANDARD.decode(encoded.trim_ascii()).ok().map(Zeroizing::new)
}

fn unauthorized() -> Response<ResponseBody> {
    let mut response = rejection(StatusCode::UNAUTHORIZED);
    response.headers_mut().insert(header::WWW_AUTHENTICATE, CHALLENGE);
    response
}

/// A response with the status as text.
pub(super) fn rejection(status: StatusCode) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::full(format!("{status}\n")));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

/// Shows the kind of the guard and its user, never the password.
impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Basic { user, .. } => {
                f.debug_struct("Basic").field("user", user).finish_non_exhaustive()
            }
            Kind::Check(_) => f.write_str("Check"),
            Kind::Open => f.write_str("OpenToEveryone"),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn status(guard: &Guard, authorization: Option<&str>) -> Result<User, u16> {
        let mut request = Request::get("/");
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        guard.admit(&head).map_err(|response| response.status().as_u16())
    }

    fn basic(credentials: &str) -> String {
        format!("Basic {}", STANDARD.encode(credentials))
    }

    #[test]
    fn basic_guard_accepts_only_its_user_and_password() {
        let guard = Guard::basic("inbox", Secret::new("a:b é")).unwrap();
        let user = Ok(User("inbox".into()));
        assert_eq!(status(&guard, Some(&basic("inbox:a:b é"))), user);
        assert_eq!(status(&guard, Some(&basic("inbox:a:b é").replace("Basic", "bAsIc"))), user);
        let bearer = basic("inbox:a:b é").replace("Basic", "Bearer");
        for wrong in ["inbox:a:b", "inbox:a:b é ", "other:a:b é", "inboxa:b é", "", ":"] {
            assert_eq!(status(&guard, Some(&basic(wrong))), Err(401), "{wrong}");
        }
        for wrong in [None, Some(""), Some("Basic"), Some("Basic %"), Some(bearer.as_str())] {
            assert_eq!(status(&guard, wrong), Err(401), "{wrong:?}");
        }
    }

    #[test]
    fn rejection_of_a_basic_guard_asks_for_credentials() {
        let guard = Guard::basic("inbox", Secret::new("p")).unwrap();
        let (head, ()) = Request::get("/").body(()).unwrap().into_parts();
        let response = guard.admit(&head).unwrap_err();
        assert_eq!(response.headers()[header::WWW_AUTHENTICATE], CHALLENGE);
    }

    #[test]
    fn empty_password_and_invalid_user_are_errors() {
        let error = |user, password| Guard::basic(user, Secret::new(password)).unwrap_err();
        assert_eq!(error("inbox", ""), GuardError::EmptyPassword);
        for user in ["", "a:b", "a\n"] {
            assert_eq!(error(user, "p"), GuardError::User);
        }
    }

    #[test]
    fn check_without_a_user_is_rejected_with_403() {
        let named = Guard::with(|head| {
            let user = head.headers.get("authorization")?;
            Some(user.to_str().ok()?.to_owned())
        });
        assert_eq!(status(&named, Some("alice")), Ok(User("alice".into())));
        assert_eq!(status(&named, None), Err(403));
        assert_eq!(status(&Guard::open_to_everyone(), None), Ok(User(ANYONE.into())));
    }

    #[test]
    fn debug_of_a_guard_has_no_password() {
        let guard = Guard::basic("inbox", Secret::new("hunter2")).unwrap();
        assert_eq!(format!("{guard:?}"), "Basic { user: \"inbox\", .. }");
    }
}
