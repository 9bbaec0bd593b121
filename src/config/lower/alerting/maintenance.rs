//! Maintenance windows.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::super::super::cron::Cron;
use super::super::super::raw::alerts::RawMaintenance;
use super::super::super::raw::quantities::TimeText;
use super::super::super::report::{Finding, Part, Place};
use super::super::super::suggest;
use super::super::{Context, names};
use super::matchers;
use crate::model::silence::{Maintenance, Schedule};
use crate::model::time::Wall;

/// The time zone unless configured.
const ZONE: &str = "UTC";

/// The calendar looks so far back for windows that are still open.
const LONGEST: Duration = Duration::from_secs(31 * 86_400);

/// Windows in the order in which they are written.
pub fn lower(
    context: &mut Context<'_>,
    raw: &[(RawMaintenance, Place)],
    known: &matchers::Known,
) -> Arc<[Maintenance]> {
    let named = raw.iter().map(|(one, place)| (one.name.as_ref(), place));
    names::check(context, named, "among the maintenance windows");
    raw.iter()
        .filter_map(|(one, place)| window(context, one, place, known))
        .collect()
}

fn window(
    context: &mut Context<'_>,
    raw: &RawMaintenance,
    place: &Place,
    known: &matchers::Known,
) -> Option<Maintenance> {
    let labels = raw.r#match.as_ref().filter(|labels| !labels.is_empty());
    if labels.is_none() {
        let expected = "the labels of the alerts that it is for; `match: {dependency: '*'}` means all";
        context.report.missing(place, "match", expected);
    }
    let matchers = labels.map(|labels| matchers::of_alerts(context, labels, &place.key("match"), known));
    for (key, given, expected) in [
        ("owner", &raw.owner, "who answers for it"),
        ("reason", &raw.reason, "why alerts are not told"),
    ] {
        match given {
            None => context.report.missing(place, key, expected),
            Some(text) if text.0.trim().is_empty() => {
                let finding = Finding::error(&place.key(key), "this says nothing");
                context.report.add(finding.expected(expected));
            }
            Some(_) => {}
        }
    }
    let zone = zone(context, raw, place);
    let schedule = schedule(context, raw, place, zone.as_ref());
    let ends = raw.until.and_then(|text| {
        time(
            context,
            text,
            &place.key("until"),
            (raw, zone.as_ref(), Side::From),
        )
    });
    Some(Maintenance {
        name: raw.name.as_ref()?.0.as_str().into(),
        matchers: matchers?,
        owner: raw.owner.as_ref()?.0.as_str().into(),
        reason: raw.reason.as_ref()?.0.as_str().into(),
        schedule: schedule?,
        ends,
    })
}

/// The time zone: the one that is named, or UTC.
fn zone(context: &mut Context<'_>, raw: &RawMaintenance, place: &Place) -> Option<TimeZone> {
    let Some(name) = &raw.timezone else {
        return Some(TimeZone::UTC);
    };
    let name = name.0.as_str();
    let found = TimeZone::get(name).ok();
    if found.is_none() {
        let finding = Finding::error(&place.key("timezone"), "there is no such time zone")
            .expected("an IANA name such as `Europe/Berlin`");
        let known: Vec<String> = jiff::tz::db().available().map(|zone| zone.to_string()).collect();
        let meant = suggest::nearest(name, known.iter().map(String::as_str));
        context
            .report
            .add(finding.suggest_opt(meant.map(|zone| format!("did you mean `{zone}`?"))));
    }
    found
}

fn schedule(
    context: &mut Context<'_>,
    raw: &RawMaintenance,
    place: &Place,
    zone: Option<&TimeZone>,
) -> Option<Schedule> {
    let once = raw.from.is_some() || raw.to.is_some();
    let by_day = raw.days.is_some() || raw.at.is_some();
    let kinds = [once, raw.schedule.is_some(), by_day];
    if kinds.iter().filter(|given| **given).count() != 1 {
        let keys = ["from", "to", "schedule", "days", "at"];
        let lost = |key: &&str| context.report.left_out.contains(&place.key(key));
        if !keys.iter().any(lost) && !context.report.left_out.contains(place) {
            let finding = Finding::error(place, "not exactly one way to say when");
            let expected = "`from` and `to`, or `schedule` and `lasts`, or `days` and `at` and `lasts`";
            context.report.add(finding.expected(expected));
        }
        return None;
    }
    if once {
        return self::once(context, raw, place, zone);
    }
    let expression: Arc<str> = match &raw.schedule {
        Some(text) => text.split_ascii_whitespace().collect::<Vec<_>>().join(" ").into(),
        None => by_days(context, raw, place)?,
    };
    let cron = cron(context, raw, place, &expression);
    let lasts = lasts(context, raw, place, cron.as_ref());
    Some(Schedule::Cron {
        expression: cron.map(|_| expression)?,
        zone: raw.timezone.as_ref().map_or(ZONE, |name| name.0.as_str()).into(),
        lasts: lasts?,
    })
}

/// `days` and `at` as a cron expression.
fn by_days(context: &mut Context<'_>, raw: &RawMaintenance, place: &Place) -> Option<Arc<str>> {
    let Some(at) = raw.at else {
        context
            .report
            .missing(place, "at", "the time of day at which it opens, such as `02:30`");
        return None;
    };
    let days: Vec<&str> = match &raw.days {
        None => vec!["*"],
        Some(days) if days.0.is_empty() => {
            context.report.error(&place.key("days"), "it would never open");
            return None;
        }
        Some(days) => days.0.iter().map(|day| day.word()).collect(),
    };
    Some(format!("{} {} * * {}", at.minute, at.hour, days.join(",")).into())
}

fn cron(context: &mut Context<'_>, raw: &RawMaintenance, place: &Place, expression: &str) -> Option<Cron> {
    let at = place.key("schedule");
    // The place of a mistake is looked for in what is written, blanks and all.
    let text = raw.schedule.as_deref().unwrap_or(expression);
    let cron = match Cron::parse(text) {
        Ok(cron) => cron,
        Err(wrong) => {
            let mut finding = Finding::error(&at, wrong.problem).suggest_opt(wrong.suggestion);
            finding.expected = wrong.expected;
            if !context.report.is_expanded(&at) {
                finding = finding.at(Part::Within(wrong.range));
            }
            context.report.add(finding);
            return None;
        }
    };
    if !cron.ever_comes() {
        let finding = Finding::error(&at, "it would never open: there is no such day");
        context.report.add(finding);
        return None;
    }
    if cron.takes_either_day() {
        let finding = Finding::warning(
            &at,
            "day of the month and day of the week are both given: to cron, either one is enough",
        );
        context.report.add(finding.suggest("write `*` for one of them"));
    }
    Some(cron)
}

fn lasts(
    context: &mut Context<'_>,
    raw: &RawMaintenance,
    place: &Place,
    cron: Option<&Cron>,
) -> Option<Duration> {
    if raw.lasts.is_none() {
        context
            .report
            .missing(place, "lasts", "how long it is open, such as `1h`");
    }
    let lasts = raw.lasts?.0;
    let at = place.key("lasts");
    if lasts > LONGEST {
        let finding = Finding::error(&at, "a window that comes again is open for 31 days at most");
        context.report.add(finding.expected("`31d`, or `from` and `to`"));
        return None;
    }
    let period = cron.and_then(Cron::shortest_period);
    if period.is_some_and(|period| lasts >= period) {
        let finding = Finding::warning(&at, "it opens again before it closes: nothing is told in between");
        context.report.add(finding);
    }
    Some(lasts)
}

fn once(
    context: &mut Context<'_>,
    raw: &RawMaintenance,
    place: &Place,
    zone: Option<&TimeZone>,
) -> Option<Schedule> {
    for (key, given) in [("lasts", raw.lasts.is_some()), ("until", raw.until.is_some())] {
        if given {
            let finding = Finding::error(
                &place.key(key),
                "this means nothing where `from` and `to` say when",
            );
            context.report.add(finding.at(Part::Key));
        }
    }
    for (key, given, expected) in [
        ("from", raw.from.is_some(), "when it opens"),
        ("to", raw.to.is_some(), "when it closes"),
    ] {
        if !given {
            context.report.missing(place, key, expected);
        }
    }
    let to_place = place.key("to");
    let from = raw
        .from
        .and_then(|text| time(context, text, &place.key("from"), (raw, zone, Side::From)));
    let until = raw
        .to
        .and_then(|text| time(context, text, &to_place, (raw, zone, Side::To)));
    let (from, until) = (from?, until?);
    if until <= from {
        let finding = Finding::error(&to_place, "it would close before it opens");
        context
            .report
            .add(finding.see("`from` given", &place.key("from")));
        return None;
    }
    Some(Schedule::Once { from, until })
}

/// Of a time that the clocks show twice, a beginning is the first one and an end the second.
#[derive(Clone, Copy)]
enum Side {
    From,
    To,
}

fn time(
    context: &mut Context<'_>,
    text: TimeText,
    at: &Place,
    (raw, zone, side): (&RawMaintenance, Option<&TimeZone>, Side),
) -> Option<Wall> {
    let stamp: Timestamp = match text {
        TimeText::Absolute(stamp) => stamp,
        TimeText::Civil(shown) if raw.timezone.is_none() => {
            let finding = Finding::error(at, "it does not say of which time zone it is");
            context
                .report
                .add(finding.suggest(format!("write `{shown}Z` for UTC, or give `timezone`")));
            return None;
        }
        TimeText::Civil(shown) => {
            let ambiguous = zone?.to_ambiguous_timestamp(shown);
            let meant = match side {
                Side::From => ambiguous.earlier(),
                Side::To => ambiguous.later(),
            };
            meant.ok()?
        }
    };
    i64::try_from(stamp.as_nanosecond())
        .ok()
        .map(Wall::from_unix_nanos)
}
