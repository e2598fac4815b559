//! Deliveries per minute over the last hour, and their chart.

use std::time::{Duration, SystemTime};

use maud::{Markup, html};

use super::format;
use crate::{
    archive::{Archive, ArchiveError, Query},
    delivery::StateKind,
};

/// The minutes of the chart.
const MINUTES: usize = 60;

const MINUTE: Duration = Duration::from_secs(60);

/// The width of a minute and the height of the chart, in the units of the image.
const WIDTH: u64 = 10;
const HEIGHT: u64 = 100;

/// The number of deliveries that were received in each minute of an hour, the oldest minute first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Activity {
    minutes: [Minute; MINUTES],
    until: SystemTime,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Minute {
    deliveries: u64,
    /// Those that are failed, dead or undecodable now.
    unsuccessful: u64,
}

impl Activity {
    /// Counts the deliveries of the hour before `now`. Cost: linear in their number; the memory is constant.
    pub(super) async fn read(archive: &dyn Archive, now: SystemTime) -> Result<Self, ArchiveError> {
        let mut activity = Self { minutes: [Minute::default(); MINUTES], until: now };
        let length = MINUTE * u32::try_from(MINUTES).unwrap_or(u32::MAX);
        let since = now.checked_sub(length).unwrap_or(SystemTime::UNIX_EPOCH);
        let mut entries = archive.ledger(Query::all().since(since));
        while let Some(entry) = entries.next().await {
            let entry = entry?;
            activity.count(entry.received_at, entry.state.kind());
        }
        Ok(activity)
    }

    fn count(&mut self, received_at: SystemTime, kind: StateKind) {
        // A delivery of the future is one of this minute: the clocks of several nodes differ.
        let age = self.until.duration_since(received_at).unwrap_or_default();
        let ago = usize::try_from(age.as_secs() / MINUTE.as_secs()).unwrap_or(usize::MAX);
        let place = MINUTES.checked_sub(ago.saturating_add(1));
        let Some(minute) = place.and_then(|place| self.minutes.get_mut(place)) else { return };
        minute.deliveries += 1;
        minute.unsuccessful += u64::from(is_unsuccessful(kind));
    }

    fn total(&self) -> u64 {
        self.minutes.iter().map(|minute| minute.deliveries).sum()
    }

    /// The chart, with its numbers as text.
    pub(super) fn html(&self) -> Markup {
        let highest = self.minutes.iter().map(|minute| minute.deliveries).max().unwrap_or(0);
        let width = WIDTH * MINUTES as u64;
        let summary = format!(
            "{} deliveries in the last hour, at most {} in a minute",
            format::number(self.total()),
            format::number(highest)
        );
        html! {
            figure {
                figcaption {
                    "Deliveries per minute "
                    span.dim {
                        (summary) " " span.legend { "failed, dead or undecodable" }
                    }
                }
                svg.chart viewBox={ "0 0 " (width) " " (HEIGHT) } preserveAspectRatio="none" role="img"
                    aria-label=(summary) {
                    line.grid x1="0" y1="0" x2=(width) y2="0" {}
                    line.grid x1="0" y1=(HEIGHT / 2) x2=(width) y2=(HEIGHT / 2) {}
                    line.axis x1="0" y1=(HEIGHT) x2=(width) y2=(HEIGHT) {}
                    @for (place, minute) in self.minutes.iter().enumerate() {
                        (bars(place, *minute, highest.max(1)))
                    }
                }
                div.scale.dim aria-hidden="true" {
                    span { "60 min ago" } span { "30" } span { "now" }
                }
            }
        }
    }
}

/// The bar of one minute: all deliveries, and the unsuccessful ones in front of them.
fn bars(place: usize, minute: Minute, highest: u64) -> Markup {
    let scaled = |count: u64| match count * HEIGHT / highest {
        0 if count > 0 => 1,
        height => height,
    };
    let (x, all, bad) =
        (place as u64 * WIDTH + 1, scaled(minute.deliveries), scaled(minute.unsuccessful));
    let ago = MINUTES - place;
    html! {
        @if minute.deliveries > 0 {
            g {
                title {
                    (ago) " min ago: " (minute.deliveries)
                    @if minute.unsuccessful > 0 { ", " (minute.unsuccessful) " failed, dead or undecodable" }
                }
                rect.all x=(x) y=(HEIGHT - all) width=(WIDTH - 2) height=(all) {}
                @if bad > 0 { rect.bad x=(x) y=(HEIGHT - bad) width=(WIDTH - 2) height=(bad) {} }
            }
        }
    }
}

fn is_unsuccessful(kind: StateKind) -> bool {
    matches!(kind, StateKind::Failed | StateKind::Dead | StateKind::Undecodable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deliveries_are_counted_in_their_minute() {
        let until = SystemTime::UNIX_EPOCH + Duration::from_secs(10_000);
        let mut activity = Activity { minutes: [Minute::default(); MINUTES], until };
        let ago = |seconds| until - Duration::from_secs(seconds);
        for (age, kind) in [
            (0, StateKind::Processed),
            (59, StateKind::Dead),
            (60, StateKind::Pending),
            (3599, StateKind::Failed),
            (3600, StateKind::Processed),
        ] {
            activity.count(ago(age), kind);
        }
        activity.count(until + MINUTE, StateKind::Leased);
        let at = |place: usize| {
            (activity.minutes[place].deliveries, activity.minutes[place].unsuccessful)
        };
        assert_eq!((at(59), at(58), at(0)), ((3, 1), (1, 0), (1, 1)));
        assert_eq!(activity.total(), 5);
    }

    #[test]
    fn chart_of_large_numbers_stays_in_its_frame() {
        let mut minutes = [Minute { deliveries: 1 << 50, unsuccessful: 1 }; MINUTES];
        minutes[0].deliveries = 1 << 51;
        let html = Activity { minutes, until: SystemTime::UNIX_EPOCH }.html().into_string();
        assert!(html.contains("height=\"100\"") && html.contains("height=\"50\""), "{html}");
        assert!(html.contains("y=\"99\""), "one of many is still visible");
    }
}
