use http::StatusCode;

/// What a provider makes of the status codes that it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Profile {
    /// What a delivery is answered that is archived but cannot be loaded into its type.
    pub undecodable: StatusCode,
}

impl Profile {
    /// For a provider to whom a 4xx only reports a failure: what cannot be decoded is answered 422.
    pub const REPORTS_FAILURES: Self = Self { undecodable: StatusCode::UNPROCESSABLE_ENTITY };

    /// For a provider to whom a 4xx ends the delivery or disables the endpoint: what cannot be decoded is answered
    /// 202, since it is archived and can be replayed.
    pub const GIVES_UP_ON_4XX: Self = Self { undecodable: StatusCode::ACCEPTED };
}
