//! Runs the actions of the page, and logs them.

use std::{error::Error, time::Duration};

use http::StatusCode;
use tokio::time::timeout;

use super::{
    address::{Action, Done, DoneKind, Place, View},
    deliveries, delivery,
    guard::User,
    temporary::{EndpointError, Endpoints},
};
use crate::{
    archive::{ArchiveError, Query},
    delivery::{DeliveryId, StateKind, with_causes},
    inbox::{Inbox, NotReplayed, ReplayError},
};

/// How long the page waits for the handler of a replay.
const REPLAY_TIMEOUT: Duration = Duration::from_secs(30);

/// Why an action had no effect, or may have had none.
#[derive(Debug, thiserror::Error)]
pub(super) enum ActionError {
    #[error("the archive cannot do this now")]
    Archive(#[from] ArchiveError),
    #[error("the delivery does not exist, or was removed")]
    NoDelivery,
    #[error("the inbox has no quarantine")]
    NoQuarantine,
    #[error("only dead, undecodable and failed deliveries can be retried; this one is {0}")]
    NotRetryable(StateKind),
    #[error("the delivery cannot be replayed")]
    Replay(#[from] ReplayError),
    #[error("the delivery was not replayed")]
    NotReplayed(#[source] NotReplayed),
    #[error("the handler is still running; see the state of the delivery later")]
    ReplayRuns,
    #[error("the delivery stays in the quarantine; its page shows why")]
    NotReleased,
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
}

impl ActionError {
    /// The status of the page that shows the error.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Archive(_) | Self::Replay(ReplayError::Archive(_)) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::NoDelivery | Self::NoQuarantine | Self::Endpoint(EndpointError::Unknown) => {
                StatusCode::NOT_FOUND
            }
            Self::ReplayRuns => StatusCode::ACCEPTED,
            _ => StatusCode::CONFLICT,
        }
    }

    /// The error with its causes, on one line.
    pub(super) fn text(&self) -> String {
        with_causes(self)
    }
}

/// Runs an action, and returns the page that shows its result.
pub(super) async fn run(
    inbox: &Inbox,
    endpoints: &Endpoints,
    action: &Action,
    user: &User,
) -> Result<(View, Done), ActionError> {
    let result = change(inbox, endpoints, action, user).await;
    let (user, target) = (&*user.0, action.link());
    match &result {
        Ok((_, Done { number, .. })) => {
            tracing::info!(user, action = action.as_str(), target, number, "changed from the page");
        }
        Err(error) => {
            let error = error as &dyn Error;
            tracing::warn!(
                user,
                action = action.as_str(),
                target,
                error,
                "not changed from the page"
            );
        }
    }
    result
}

async fn change(
    inbox: &Inbox,
    endpoints: &Endpoints,
    action: &Action,
    user: &User,
) -> Result<(View, Done), ActionError> {
    let (view, what, number) = match action {
        Action::Retry(id) => {
            retry(inbox, *id).await?;
            (View::delivery(Place::Archive, *id), DoneKind::Retried, 1)
        }
        Action::RetryAll(filter) => {
            let models = deliveries::models(inbox).await?;
            let mut retried = 0;
            for query in filter.queries(&models) {
                retried += inbox.retry(query).await?;
            }
            (View::deliveries(filter.clone()), DoneKind::Retried, retried)
        }
        Action::Replay(id) => {
            let status = replay(inbox, *id).await?;
            (View::delivery(Place::Archive, *id), DoneKind::Replayed, status.as_u16().into())
        }
        Action::Erase(place, id) => {
            let archive = delivery::archive(inbox, *place).ok_or(ActionError::NoQuarantine)?;
            let erased = archive.remove(Query::all().id(*id)).await?;
            if erased == 0 {
                return Err(ActionError::NoDelivery);
            }
            let view = match place {
                Place::Archive => View::delivery(*place, *id),
                Place::Quarantine => View::Quarantine { after: None },
            };
            (view, DoneKind::Erased, erased)
        }
        Action::Release(id) => {
            release(inbox, *id).await?;
            (View::delivery(Place::Archive, *id), DoneKind::Released, 1)
        }
        Action::ReleaseAll => {
            let released = inbox.release(Query::all()).await?;
            let released = released.iter().filter(|one| one.result.is_ok()).count();
            (View::Quarantine { after: None }, DoneKind::Released, released as u64)
        }
        Action::Pause(model) => {
            inbox.pause(model).await?;
            (View::Overview, DoneKind::Paused, 1)
        }
        Action::Resume(model) => {
            inbox.resume(model).await?;
            (View::Overview, DoneKind::Resumed, 1)
        }
        Action::CreateEndpoint => {
            let number = endpoints.create(user.0.clone(), inbox.clock.now())?;
            (View::TemporaryEndpoint(number), DoneKind::Created, number)
        }
        Action::DeleteEndpoint(number) => {
            endpoints.delete(*number, inbox.clock.now())?;
            (View::TemporaryEndpoints, DoneKind::Deleted, *number)
        }
    };
    Ok((view, Done { what, number }))
}

async fn retry(inbox: &Inbox, id: DeliveryId) -> Result<(), ActionError> {
    if inbox.retry(Query::all().id(id)).await? > 0 {
        return Ok(());
    }
    let state = inbox.archive().state(id).await?;
    Err(state.map_or(ActionError::NoDelivery, |state| ActionError::NotRetryable(state.kind())))
}

async fn replay(inbox: &Inbox, id: DeliveryId) -> Result<StatusCode, ActionError> {
    let mut replaying = inbox.replay(Query::all().id(id)).start().await?;
    let replayed = timeout(REPLAY_TIMEOUT, replaying.next()).await;
    match replayed.map_err(|_| ActionError::ReplayRuns)? {
        Some(replayed) => replayed.result.map_err(ActionError::NotReplayed),
        None => Err(ActionError::NoDelivery),
    }
}

async fn release(inbox: &Inbox, id: DeliveryId) -> Result<(), ActionError> {
    if inbox.quarantine().is_none() {
        return Err(ActionError::NoQuarantine);
    }
    let released = inbox.release(Query::all().id(id)).await?;
    let one = released.into_iter().next().ok_or(ActionError::NoDelivery)?;
    one.result.map(drop).map_err(|_| ActionError::NotReleased)
}
