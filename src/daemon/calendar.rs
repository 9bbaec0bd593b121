//! When maintenance windows are open: civil time, with its days of 23 and 25 hours, made into instants for the engine,
//! which knows nothing of time zones.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::{AmbiguousOffset, TimeZone};
use tokio::sync::{mpsc, watch};

use super::clock::Clock;
use crate::config::Cron;
use crate::engine::Input;
use crate::model::silence::{Maintenance, Opening, Schedule};
use crate::model::time::{Now, Wall};

/// How far the calendar looks ahead: over a weekend, and a week in which nobody looks after a daemon that hangs.
const AHEAD: Duration = Duration::from_secs(8 * 86_400);
/// How often it looks again: time zones' rules change, and what is ahead becomes less.
const AGAIN: Duration = Duration::from_secs(3_600);
/// How often the clocks are compared.
const TICK: Duration = Duration::from_secs(5);
/// Civil time that moved by more than this against the monotonic clock was set. NTP moves it by far less at once.
const STEP: Duration = Duration::from_secs(2);

/// All times at which one of the windows is open from `now` on, as far as the calendar looks, those under way included:
/// by window, in order, and without overlaps.
pub fn openings(windows: &[Maintenance], now: Wall) -> Vec<Opening> {
    windows.iter().flat_map(|window| of_window(window, now)).collect()
}

fn of_window(window: &Maintenance, now: Wall) -> Vec<Opening> {
    let until = now + AHEAD;
    let mut spans: Vec<(Wall, Wall)> = match &window.schedule {
        Schedule::Once { from, until } => vec![(*from, *until)],
        Schedule::Cron {
            expression,
            zone,
            lasts,
        } => of_cron((expression, zone), *lasts, (now, until)),
    };
    let comes = |from: Wall| window.ends.is_none_or(|ends| from < ends);
    spans.retain(|(from, to)| *to > now && *from < until && comes(*from));
    spans.sort_unstable();
    merged(spans)
        .into_iter()
        .map(|(from, until)| Opening {
            window: Arc::clone(&window.name),
            from,
            until,
        })
        .collect()
}

/// Spans in order, those that touch put together.
fn merged(spans: Vec<(Wall, Wall)>) -> Vec<(Wall, Wall)> {
    let mut all: Vec<(Wall, Wall)> = Vec::with_capacity(spans.len());
    for (from, until) in spans {
        match all.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(until),
            _ => all.push((from, until)),
        }
    }
    all
}

/// All spans of a schedule that may touch the time in between.
fn of_cron(
    (expression, zone): (&str, &str),
    lasts: Duration,
    (now, until): (Wall, Wall),
) -> Vec<(Wall, Wall)> {
    // Both were read when the configuration was. A zone may be gone since, with the system's files: the bundled ones are
    // looked into then, and what they do not have either cannot be told.
    let (Ok(cron), Ok(zone)) = (Cron::parse(expression), TimeZone::get(zone)) else {
        tracing::warn!(zone, "a maintenance window's time zone is gone: it does not open");
        return Vec::new();
    };
    let back = i64::try_from(lasts.as_nanos()).unwrap_or(i64::MAX);
    let first = Wall::from_unix_nanos(now.unix_nanos().saturating_sub(back));
    let (Some(first), Some(last)) = (date_in(&zone, first), date_in(&zone, until)) else {
        return Vec::new();
    };
    let mut spans = Vec::new();
    // What the clocks skip may belong to the day before.
    let mut day = first.yesterday().unwrap_or(first);
    while day <= last {
        if cron.on(day) {
            for (hour, minute) in cron.times() {
                let begins = begins(&zone, day, (hour, minute));
                spans.extend(begins.into_iter().flatten().map(|from| (from, from + lasts)));
            }
        }
        let Ok(next) = day.tomorrow() else { break };
        day = next;
    }
    spans
}

fn date_in(zone: &TimeZone, wall: Wall) -> Option<Date> {
    let stamp = Timestamp::from_nanosecond(wall.unix_nanos().into()).ok()?;
    Some(zone.to_datetime(stamp).date())
}

/// When the clocks of the zone show that time of that day.
///
/// What they show twice is there twice. What they skip, because they are set forward, is taken in both of the ways in which
/// programs take it, so that the work that the window is for falls within it: at the moment at which they are set (as
/// Vixie's cron does), and as much time after midnight as on any other day (RFC 5545, section 3.3.5: the offset before the
/// gap holds).
fn begins(zone: &TimeZone, day: Date, (hour, minute): (i8, i8)) -> [Option<Wall>; 2] {
    let shown = day.at(hour, minute, 0, 0);
    match zone.to_ambiguous_timestamp(shown).offset() {
        AmbiguousOffset::Unambiguous { offset } => [offset.to_timestamp(shown).ok().and_then(wall), None],
        AmbiguousOffset::Fold { before, after } => {
            [before, after].map(|offset| offset.to_timestamp(shown).ok().and_then(wall))
        }
        AmbiguousOffset::Gap { before, .. } => {
            let Ok(same_time) = before.to_timestamp(shown) else {
                return [None, None];
            };
            let just_after = same_time + jiff::SignedDuration::from_secs(1);
            let set = zone
                .preceding(just_after)
                .next()
                .map(|transition| transition.timestamp());
            [set.and_then(wall), wall(same_time)]
        }
    }
}

fn wall(stamp: Timestamp) -> Option<Wall> {
    i64::try_from(stamp.as_nanosecond())
        .ok()
        .map(Wall::from_unix_nanos)
}

/// Notices that civil time was set.
#[derive(Clone, Copy, Debug)]
struct Steps {
    /// Civil time when the monotonic clock was at zero.
    origin: i128,
}

impl Steps {
    fn new(now: Now) -> Self {
        Steps { origin: origin(now) }
    }

    /// Whether it was set since this was asked last.
    fn moved(&mut self, now: Now) -> bool {
        let origin = origin(now);
        let moved = (origin - self.origin).unsigned_abs() > STEP.as_nanos();
        if moved {
            self.origin = origin;
        }
        moved
    }
}

fn origin(now: Now) -> i128 {
    i128::from(now.wall.unix_nanos()) - i128::from(now.moment.as_nanos())
}

/// Tells the engine when windows are open: when they change, every hour, and after the clock was set.
pub struct Calendar {
    pub windows: watch::Receiver<Arc<[Maintenance]>>,
    pub inputs: mpsc::Sender<Input>,
    pub clock: Clock,
}

impl Calendar {
    /// Runs until whoever may change the windows is gone.
    pub async fn run(mut self) {
        let mut steps = Steps::new(self.clock.now());
        // What there is was told by whoever made this.
        let mut told = self.clock.now().moment;
        loop {
            let changed = tokio::select! {
                changed = self.windows.changed() => match changed {
                    Ok(()) => true,
                    Err(_) => return,
                },
                () = tokio::time::sleep(TICK) => false,
            };
            let now = self.clock.now();
            // Whether the clock was set is asked each time, so that the next step is seen against this one.
            let moved = steps.moved(now);
            if changed || moved || now.moment.since(told) >= AGAIN {
                told = now.moment;
                let windows = Arc::clone(&self.windows.borrow_and_update());
                if windows.is_empty() && !changed {
                    continue;
                }
                let openings = openings(&windows, now.wall);
                if self.inputs.send(Input::CalendarChanged(openings)).await.is_err() {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::Moment;

    fn at(text: &str) -> Wall {
        wall(text.parse().expect("is a time")).expect("fits")
    }

    fn window(expression: &str, zone: &str, lasts: u64) -> Maintenance {
        Maintenance {
            name: "w".into(),
            matchers: Arc::from([]),
            owner: "o".into(),
            reason: "r".into(),
            schedule: Schedule::Cron {
                expression: expression.into(),
                zone: zone.into(),
                lasts: Duration::from_secs(lasts * 60),
            },
            ends: None,
        }
    }

    /// The openings that begin before `before`, as text.
    fn shown(window: &Maintenance, now: &str, before: &str) -> Vec<String> {
        openings(std::slice::from_ref(window), at(now))
            .into_iter()
            .filter(|opening| opening.from < at(before))
            .map(|opening| format!("{} {}", opening.from, opening.until))
            .collect()
    }

    #[test]
    fn a_time_that_the_clocks_skip_opens_when_they_are_set_and_as_late_as_on_other_days() {
        // Berlin, 2026-03-29: at 02:00 it is 03:00.
        let berlin = window("30 2 * * *", "Europe/Berlin", 60);
        assert_eq!(
            shown(&berlin, "2026-03-28T00:00:00Z", "2026-03-31T00:00:00Z"),
            [
                "2026-03-28T01:30:00Z 2026-03-28T02:30:00Z",
                // 03:00 and 03:30 summer time: both run into one.
                "2026-03-29T01:00:00Z 2026-03-29T02:30:00Z",
                "2026-03-30T00:30:00Z 2026-03-30T01:30:00Z",
            ]
        );
        // New York, 2026-03-08: short enough for two.
        let new_york = window("30 2 * * *", "America/New_York", 10);
        assert_eq!(
            shown(&new_york, "2026-03-08T00:00:00Z", "2026-03-09T00:00:00Z"),
            [
                "2026-03-08T07:00:00Z 2026-03-08T07:10:00Z",
                "2026-03-08T07:30:00Z 2026-03-08T07:40:00Z",
            ]
        );
        // Lord Howe, 2026-10-04: half an hour is skipped at 02:00.
        let lord_howe = window("15 2 * * *", "Australia/Lord_Howe", 5);
        assert_eq!(
            shown(&lord_howe, "2026-10-03T12:00:00Z", "2026-10-04T12:00:00Z"),
            [
                "2026-10-03T15:30:00Z 2026-10-03T15:35:00Z",
                "2026-10-03T15:45:00Z 2026-10-03T15:50:00Z",
            ]
        );
    }

    #[test]
    fn the_first_minute_that_is_skipped_opens_once() {
        let berlin = window("0 2 * * *", "Europe/Berlin", 60);
        assert_eq!(
            shown(&berlin, "2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z"),
            ["2026-03-29T01:00:00Z 2026-03-29T02:00:00Z"]
        );
        // Midnight itself is skipped in Beirut, 2026-03-29.
        let beirut = window("0 0 * * *", "Asia/Beirut", 60);
        assert_eq!(
            shown(&beirut, "2026-03-28T12:00:00Z", "2026-03-29T12:00:00Z"),
            ["2026-03-28T22:00:00Z 2026-03-28T23:00:00Z"]
        );
    }

    #[test]
    fn an_hour_that_comes_twice_opens_twice() {
        // New York, 2026-11-01: at 02:00 it is 01:00 again.
        let short = window("30 1 * * *", "America/New_York", 10);
        assert_eq!(
            shown(&short, "2026-10-31T12:00:00Z", "2026-11-01T12:00:00Z"),
            [
                "2026-11-01T05:30:00Z 2026-11-01T05:40:00Z",
                "2026-11-01T06:30:00Z 2026-11-01T06:40:00Z",
            ]
        );
        let long = window("30 1 * * *", "America/New_York", 60);
        assert_eq!(
            shown(&long, "2026-10-31T12:00:00Z", "2026-11-01T12:00:00Z"),
            ["2026-11-01T05:30:00Z 2026-11-01T07:30:00Z"]
        );
        // Each hour of 25, of 24 and of 23: what is skipped runs into the next hour's own.
        for (day, hours) in [("2026-10-25", 25), ("2026-10-26", 24), ("2026-03-29", 23)] {
            let hourly = window("7 * * * *", "Europe/Berlin", 10);
            let midnight = |day: &str, add: i64| {
                let day: Date = day.parse().expect("is a day");
                let day = day.checked_add(jiff::Span::new().days(add)).expect("is there");
                let zone = TimeZone::get("Europe/Berlin").expect("is there");
                zone.to_timestamp(day.at(0, 0, 0, 0))
                    .expect("is there")
                    .to_string()
            };
            let all = shown(&hourly, &midnight(day, 0), &midnight(day, 1));
            assert_eq!(all.len(), hours, "{day}: {all:?}");
        }
    }

    #[test]
    fn it_follows_the_zone_over_the_year() {
        let paris = window("0 2 * * *", "Europe/Paris", 60);
        assert_eq!(
            shown(&paris, "2026-07-01T12:00:00Z", "2026-07-02T12:00:00Z"),
            ["2026-07-02T00:00:00Z 2026-07-02T01:00:00Z"]
        );
        assert_eq!(
            shown(&paris, "2026-12-01T12:00:00Z", "2026-12-02T12:00:00Z"),
            ["2026-12-02T01:00:00Z 2026-12-02T02:00:00Z"]
        );
        let kathmandu = window("0 0 * * sat", "Asia/Kathmandu", 30);
        assert_eq!(
            shown(&kathmandu, "2026-11-24T00:00:00Z", "2026-12-10T00:00:00Z"),
            ["2026-11-27T18:15:00Z 2026-11-27T18:45:00Z"]
        );
        // A day that Samoa did not have.
        let apia = window("0 12 30 12 *", "Pacific/Apia", 60);
        assert_eq!(
            shown(&apia, "2011-12-28T00:00:00Z", "2012-01-03T00:00:00Z"),
            [
                "2011-12-30T10:00:00Z 2011-12-30T11:00:00Z",
                "2011-12-30T22:00:00Z 2011-12-30T23:00:00Z",
            ]
        );
    }

    #[test]
    fn what_is_under_way_is_there_and_what_is_over_is_not() {
        let nightly = window("0 22 * * *", "UTC", 8 * 60);
        let shown_at = |now: &str| shown(&nightly, now, "2026-11-25T12:00:00Z");
        assert_eq!(
            shown_at("2026-11-24T05:59:59Z"),
            [
                "2026-11-23T22:00:00Z 2026-11-24T06:00:00Z",
                "2026-11-24T22:00:00Z 2026-11-25T06:00:00Z",
            ]
        );
        assert_eq!(
            shown_at("2026-11-24T06:00:00Z"),
            ["2026-11-24T22:00:00Z 2026-11-25T06:00:00Z"]
        );
        // Open since three weeks ago.
        let month = window("0 0 1 * *", "UTC", 31 * 1_440);
        assert_eq!(
            shown(&month, "2026-11-24T00:00:00Z", "2026-12-10T00:00:00Z"),
            ["2026-11-01T00:00:00Z 2027-01-01T00:00:00Z"]
        );
    }

    #[test]
    fn openings_that_touch_are_one() {
        let all_day = window("*/10 * * * *", "UTC", 10);
        let all = openings(std::slice::from_ref(&all_day), at("2026-11-24T00:05:00Z"));
        assert_eq!(all.len(), 1, "{all:?}");
        assert_eq!(all[0].from, at("2026-11-24T00:00:00Z"));
        assert!(all[0].until >= at("2026-12-02T00:00:00Z"));
    }

    #[test]
    fn it_looks_eight_days_ahead_and_not_beyond_the_end() {
        let mut nightly = window("0 2 * * *", "UTC", 60);
        let count =
            |window: &Maintenance| openings(std::slice::from_ref(window), at("2026-11-24T03:00:00Z")).len();
        assert_eq!(count(&nightly), 8);
        nightly.ends = Some(at("2026-11-26T02:00:00Z"));
        assert_eq!(count(&nightly), 1);
        let once = Maintenance {
            schedule: Schedule::Once {
                from: at("2026-11-30T00:00:00Z"),
                until: at("2026-12-30T00:00:00Z"),
            },
            ends: None,
            ..nightly.clone()
        };
        assert_eq!(count(&once), 1);
        let past = Maintenance {
            schedule: Schedule::Once {
                from: at("2026-11-01T00:00:00Z"),
                until: at("2026-11-24T03:00:00Z"),
            },
            ..once
        };
        assert_eq!(count(&past), 0);
    }

    #[test]
    fn a_clock_that_is_set_is_noticed_once_and_one_that_drifts_is_not() {
        let now = |moment: u64, wall: i64| Now {
            moment: Moment::from_secs(moment),
            wall: Wall::from_unix_secs(wall),
        };
        let mut steps = Steps::new(now(10, 1_000));
        assert!(!steps.moved(now(15, 1_005)));
        assert!(!steps.moved(now(20, 1_012)), "two seconds are not more than two");
        assert!(steps.moved(now(25, 1_018)));
        assert!(!steps.moved(now(30, 1_023)));
        assert!(steps.moved(now(35, 500)), "back");
        assert!(!steps.moved(now(40, 505)));
    }

    /// The bundled zones serve where the system has none.
    #[test]
    fn zones_are_bundled() {
        assert!(jiff::tz::TimeZoneDatabase::bundled().get("Europe/Berlin").is_ok());
    }

    #[tokio::test]
    async fn the_engine_is_told_when_windows_change() {
        let (sender, windows) = watch::channel(Arc::from([]));
        let (inputs, mut told) = mpsc::channel(8);
        let task = tokio::spawn(
            Calendar {
                windows,
                inputs,
                clock: Clock::start(),
            }
            .run(),
        );
        sender.send_replace(Arc::from([window("* * * * *", "UTC", 1)]));
        let Some(Input::CalendarChanged(openings)) = told.recv().await else {
            panic!("is told")
        };
        assert_eq!(openings.len(), 1, "{openings:?}");
        drop(sender);
        assert!(told.recv().await.is_none());
        task.await.expect("ends by itself");
    }
}
