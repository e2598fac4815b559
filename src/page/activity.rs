//! Deliveries over the last hour or day, and their chart.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use maud::{Markup, html};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use super::{address::View, format};
use crate::{
    archive::{Archive, ArchiveError, Query},
    delivery::StateKind,
    inbox::Inbox,
};

/// The width of a bar and the height of the chart, in the units of the image.
const WIDTH: u64 = 10;
const HEIGHT: u64 = 100;

/// The time that a chart covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Span {
    Hour,
    Day,
}

impl Span {
    const ALL: [Self; 2] = [Self::Hour, Self::Day];

    /// The number of bars.
    fn bars(self) -> u32 {
        match self {
            Self::Hour => 60,
            Self::Day => 96,
        }
    }

    /// The time of one bar.
    fn step(self) -> Duration {
        match self {
            Self::Hour => Duration::from_secs(60),
            Self::Day => Duration::from_secs(15 * 60),
        }
    }

    fn step_name(self) -> &'static str {
        match self {
            Self::Hour => "a minute",
            Self::Day => "15 minutes",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "24 hours",
        }
    }

    /// The texts below the chart.
    fn scale(self) -> [&'static str; 3] {
        match self {
            Self::Hour => ["60 min ago", "30", "now"],
            Self::Day => ["24 h ago", "12", "now"],
        }
    }

    fn view(self) -> View {
        match self {
            Self::Hour => View::Overview,
            Self::Day => View::LastDay,
        }
    }

    /// How long a count is cached at least.
    fn min_fresh(self) -> Duration {
        match self {
            Self::Hour => Duration::from_secs(5),
            Self::Day => Duration::from_secs(60),
        }
    }

    /// The time after which the page is shown without the chart. The day is counted only for those who ask for it.
    fn timeout(self) -> Duration {
        match self {
            Self::Hour => Duration::from_secs(3),
            Self::Day => Duration::from_secs(10),
        }
    }
}

/// The last counts. The lock of each makes one reading at a time, for all who wait for it.
#[derive(Clone, Debug, Default)]
pub(super) struct LastActivity {
    hour: Arc<Mutex<Option<Reading>>>,
    day: Arc<Mutex<Option<Reading>>>,
}

#[derive(Clone, Debug)]
struct Reading {
    /// `None` if it took too long.
    activity: Option<Activity>,
    fresh_until: Instant,
}

impl LastActivity {
    /// The activity, counted now or a short time ago; `None` if counting takes too long.
    pub(super) async fn get(
        &self,
        inbox: &Inbox,
        span: Span,
    ) -> Result<Option<Activity>, ArchiveError> {
        let last = match span {
            Span::Hour => &self.hour,
            Span::Day => &self.day,
        };
        let mut last = last.lock().await;
        let started = Instant::now();
        if let Some(reading) = &*last
            && started < reading.fresh_until
        {
            return Ok(reading.activity.clone());
        }
        let counting = Activity::read(inbox.archive(), span, inbox.clock.now());
        let activity = timeout(span.timeout(), counting).await.ok().transpose()?;
        let ended = Instant::now();
        let fresh = fresh_for(span, ended.duration_since(started));
        *last = Some(Reading { activity: activity.clone(), fresh_until: ended + fresh });
        Ok(activity)
    }
}

/// How long a count is cached that took `took`: at most a tenth of the time is spent on counting, however many
/// deliveries there are.
fn fresh_for(span: Span, took: Duration) -> Duration {
    span.min_fresh().max(took * 10)
}

/// The number of deliveries that were received in each step of a span, the oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Activity {
    span: Span,
    bars: Vec<Bar>,
    until: SystemTime,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bar {
    deliveries: u64,
    /// Those that are failed, dead or undecodable now.
    unsuccessful: u64,
}

impl Activity {
    fn empty(span: Span, until: SystemTime) -> Self {
        Self { span, bars: (0..span.bars()).map(|_| Bar::default()).collect(), until }
    }

    /// Counts the deliveries of the span before `now`. Cost: linear in their number; the memory is constant.
    async fn read(
        archive: &dyn Archive,
        span: Span,
        now: SystemTime,
    ) -> Result<Self, ArchiveError> {
        let mut activity = Self::empty(span, now);
        let since = now.checked_sub(span.step() * span.bars()).unwrap_or(SystemTime::UNIX_EPOCH);
        let mut entries = archive.ledger(Query::all().since(since));
        while let Some(entry) = entries.next().await {
            let entry = entry?;
            activity.count(entry.received_at, entry.state.kind());
        }
        Ok(activity)
    }

    fn count(&mut self, received_at: SystemTime, kind: StateKind) {
        // A delivery of the future is one of now: the clocks of several nodes differ.
        let age = self.until.duration_since(received_at).unwrap_or_default();
        let ago = age.as_secs() / self.span.step().as_secs();
        let ago = usize::try_from(ago).unwrap_or(usize::MAX);
        let place = self.bars.len().checked_sub(ago.saturating_add(1));
        let Some(bar) = place.and_then(|place| self.bars.get_mut(place)) else { return };
        bar.deliveries += 1;
        bar.unsuccessful += u64::from(is_unsuccessful(kind));
    }

    fn total(&self) -> u64 {
        self.bars.iter().map(|bar| bar.deliveries).sum()
    }

    fn highest(&self) -> u64 {
        self.bars.iter().map(|bar| bar.deliveries).max().unwrap_or(0)
    }

    fn summary(&self) -> String {
        format!(
            "{} deliveries in the last {}, at most {} in {}",
            format::number(self.total()),
            self.span.name(),
            format::number(self.highest()),
            self.span.step_name(),
        )
    }

    fn chart(&self) -> Markup {
        let (highest, summary) = (self.highest(), self.summary());
        let width = WIDTH * u64::from(self.span.bars());
        html! {
            svg.chart viewBox={ "0 0 " (width) " " (HEIGHT) } preserveAspectRatio="none" role="img"
                aria-label=(summary) {
                line.grid x1="0" y1="0" x2=(width) y2="0" {}
                line.grid x1="0" y1=(HEIGHT / 2) x2=(width) y2=(HEIGHT / 2) {}
                line.axis x1="0" y1=(HEIGHT) x2=(width) y2=(HEIGHT) {}
                @for (place, left) in (0..self.span.bars()).zip((1..=self.span.bars()).rev()) {
                    @if let Some(bar) = self.bars.get(place as usize) {
                        (shapes(place, *bar, highest.max(1), &ago(self.span.step() * left)))
                    }
                }
            }
            div.scale.dim aria-hidden="true" {
                @for text in self.span.scale() { span { (text) } }
            }
        }
    }
}

/// The chart with the choice of its span. `None`: the deliveries could not be counted in time.
pub(super) fn figure(span: Span, activity: &Result<Option<Activity>, ArchiveError>) -> Markup {
    html! {
        figure {
            figcaption {
                span { "Deliveries" }
                @if let Ok(Some(activity)) = activity {
                    span.dim { (activity.summary()) " " span.legend { "failed, dead or undecodable" } }
                }
                div.tabs role="group" aria-label="Time" {
                    @for choice in Span::ALL {
                        a href=(choice.view().link()) aria-current=[(choice == span).then_some("true")] {
                            "Last " (choice.name())
                        }
                    }
                }
            }
            @match activity {
                Ok(Some(activity)) => (activity.chart()),
                Ok(None) => p.dim {
                    "Counting the last " (span.name()) " takes longer than "
                    (format::duration(span.timeout())) "; reload the page later."
                },
                Err(error) => p.dim { "The deliveries cannot be counted: " (error) },
            }
        }
    }
}

/// The bar of one step: all deliveries, and the unsuccessful ones in front of them.
fn shapes(place: u32, bar: Bar, highest: u64, ago: &str) -> Markup {
    let scaled = |count: u64| match count * HEIGHT / highest {
        0 if count > 0 => 1,
        height => height,
    };
    let (x, all, bad) =
        (u64::from(place) * WIDTH + 1, scaled(bar.deliveries), scaled(bar.unsuccessful));
    html! {
        @if bar.deliveries > 0 {
            g {
                title {
                    (ago) " ago: " (bar.deliveries)
                    @if bar.unsuccessful > 0 { ", " (bar.unsuccessful) " failed, dead or undecodable" }
                }
                rect.all x=(x) y=(HEIGHT - all) width=(WIDTH - 2) height=(all) {}
                @if bad > 0 { rect.bad x=(x) y=(HEIGHT - bad) width=(WIDTH - 2) height=(bad) {} }
            }
        }
    }
}

/// The age of a bar: `5 min`, `3 h 45 min`.
fn ago(age: Duration) -> String {
    let minutes = age.as_secs() / 60;
    match (minutes / 60, minutes % 60) {
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

fn is_unsuccessful(kind: StateKind) -> bool {
    matches!(kind, StateKind::Failed | StateKind::Dead | StateKind::Undecodable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deliveries_are_counted_in_their_bar() {
        let until = SystemTime::UNIX_EPOCH + Duration::from_secs(200_000);
        for (span, step, last) in [(Span::Hour, 60, 59), (Span::Day, 900, 95)] {
            let mut activity = Activity::empty(span, until);
            let ago = |seconds| until - Duration::from_secs(seconds);
            for (age, kind) in [
                (0, StateKind::Processed),
                (step - 1, StateKind::Dead),
                (step, StateKind::Pending),
                ((last + 1) * step - 1, StateKind::Failed),
                ((last + 1) * step, StateKind::Processed),
            ] {
                activity.count(ago(age), kind);
            }
            activity.count(until + Duration::from_secs(60), StateKind::Leased);
            let at = |place: u64| {
                let bar = activity.bars[usize::try_from(place).unwrap()];
                (bar.deliveries, bar.unsuccessful)
            };
            assert_eq!((at(last), at(last - 1), at(0)), ((3, 1), (1, 0), (1, 1)), "{span:?}");
            assert_eq!(activity.total(), 5);
        }
    }

    #[test]
    fn chart_of_large_numbers_stays_in_its_frame() {
        let mut activity = Activity::empty(Span::Hour, SystemTime::UNIX_EPOCH);
        activity.bars.fill(Bar { deliveries: 1 << 50, unsuccessful: 1 });
        activity.bars[0].deliveries = 1 << 51;
        let html = activity.chart().into_string();
        assert!(html.contains("height=\"100\"") && html.contains("height=\"50\""), "{html}");
        assert!(html.contains("y=\"99\""), "one of many is still visible");
    }

    #[test]
    fn age_of_a_bar_is_in_hours_and_minutes() {
        let texts = [1, 59, 60, 225, 1440].map(|minutes| ago(Duration::from_secs(60 * minutes)));
        assert_eq!(texts, ["1 min", "59 min", "1 h", "3 h 45 min", "24 h"]);
    }

    #[test]
    fn counting_takes_at_most_a_tenth_of_the_time() {
        let fresh = |span, seconds| fresh_for(span, Duration::from_secs(seconds)).as_secs();
        assert_eq!([fresh(Span::Hour, 0), fresh(Span::Hour, 3)], [5, 30]);
        assert_eq!([fresh(Span::Day, 2), fresh(Span::Day, 10)], [60, 100]);
    }
}
