use super::*;

/// A host and what lies before it, in virtual time.
#[derive(Clone, Copy)]
struct Host {
    /// Idle connections are ended by the host after so long.
    closes: Option<Duration>,
    /// They are forgotten silently after so long.
    forgets: Option<Duration>,
    /// Every connection ends at this age.
    max_age: Option<Duration>,
}

const QUIET: Host = Host {
    closes: None,
    forgets: None,
    max_age: None,
};

fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn ladder() -> Arc<[Duration]> {
    crate::model::dependency::IdleSearch::default().ladder
}

impl Host {
    /// What a round shows, and how long it takes.
    fn round(&self, rungs: &[Duration], control_every: Duration) -> (IdleRound, Duration) {
        let jitter = Duration::from_millis(3);
        let mut took = Duration::ZERO;
        let mut outcomes = vec![RungOutcome::Unfinished; rungs.len()];
        let seen = [self.closes, self.max_age].into_iter().flatten().min();
        for (rung, outcome) in rungs.iter().zip(&mut outcomes) {
            let forgotten = self.forgets.filter(|at| *at < *rung + jitter);
            let ends = seen.filter(|at| at <= rung && forgotten.is_none_or(|forgotten| *at < forgotten));
            *outcome = match (ends, forgotten) {
                (Some(at), _) => RungOutcome::Ended {
                    how: IdleEnd::Fin,
                    after: at + jitter,
                },
                (None, Some(_)) => RungOutcome::Lost {
                    how: IdleEnd::Silence,
                    after: *rung + jitter,
                },
                (None, None) => RungOutcome::Survived {
                    after: *rung + jitter,
                },
            };
            took = ends.unwrap_or(*rung + Duration::from_millis(1_500));
            if !matches!(outcome, RungOutcome::Survived { .. }) {
                break;
            }
        }
        let too_idle = [self.closes, self.forgets]
            .into_iter()
            .flatten()
            .find(|at| *at <= control_every);
        let too_old = self.max_age.filter(|age| *age <= took);
        let ended = match (too_idle, too_old) {
            (Some(at), _) => Some((at, control_every)),
            (None, Some(age)) => Some((age, Duration::ZERO)),
            (None, None) => None,
        };
        let facts = IdleFacts {
            rungs: outcomes,
            control: ControlFacts {
                uses: 9,
                alive: ended.is_none(),
                ended,
                renewed: None,
            },
            announced: None,
        };
        (IdleRound::Done(facts), took)
    }
}

/// Measures it to the end: the result, how long it took and how many rounds.
fn measure(mut search: Search, host: Host) -> (Step, Duration, u32) {
    let (mut step, mut took, mut rounds) = (search.begin(), Duration::ZERO, 0);
    while let Step::Measure {
        after,
        rungs,
        control_every,
    } = &step
    {
        assert!((1..=PARKED).contains(&rungs.len()), "{rungs:?}");
        assert!(rungs.is_sorted(), "{rungs:?}");
        let (round, time) = host.round(rungs, *control_every);
        took += *after + time;
        rounds += 1;
        step = search.take(&round);
    }
    (step, took, rounds)
}

#[track_caller]
fn ends(step: &Step) -> (IdleEnd, Duration, Duration) {
    match step {
        Step::Known {
            limit: IdleLimit::Ends { how, low, high },
            samples,
        } if *samples >= 2 => (*how, *low, *high),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_host_that_closes_is_measured_by_two_connections() {
    for seconds in [2.0, 7.0, 60.0, 75.0, 340.0] {
        let host = Host {
            closes: Some(secs(seconds)),
            ..QUIET
        };
        let (step, took, rounds) = measure(Search::new(ladder()), host);
        let (how, low, high) = ends(&step);
        assert_eq!((how, rounds), (IdleEnd::Fin, 2), "{seconds}");
        assert!(
            low.abs_diff(secs(seconds)) < secs(0.01) && high == low,
            "{step:?}"
        );
        assert!(took <= secs(2.0 * seconds + 0.1), "{took:?}");
    }
}

#[test]
fn a_very_short_limit_takes_a_busier_control() {
    let host = Host {
        closes: Some(secs(0.7)),
        ..QUIET
    };
    let (step, ..) = measure(Search::new(ladder()), host);
    assert_eq!(ends(&step).0, IdleEnd::Fin);
}

#[test]
fn silence_is_found_between_good_and_dead() {
    for seconds in [1.5, 5.0, 30.0, 60.0, 120.0, 350.0, 600.0, 900.0] {
        let host = Host {
            forgets: Some(secs(seconds)),
            ..QUIET
        };
        let (step, took, _) = measure(Search::new(ladder()), host);
        let (how, low, high) = ends(&step);
        assert_eq!(how, IdleEnd::Silence);
        assert!(
            low < secs(seconds) && high > secs(seconds) && high - low <= precision(high) + secs(0.01),
            "{seconds}: {low:?} {high:?}"
        );
        if seconds <= 5.0 {
            assert!(took < secs(120.0), "{seconds}: {took:?}");
            assert!(low > secs(0.8 * seconds) - secs(0.5), "{seconds}: {low:?}");
        }
        assert!(took < secs(6.0 * seconds + 120.0), "{seconds}: {took:?}");
    }
}

#[test]
fn where_nothing_ends_that_is_the_result() {
    let (step, took, rounds) = measure(Search::new(ladder()), QUIET);
    assert!(
        matches!(step, Step::Known { limit: IdleLimit::NoneFound { up_to }, samples: 1 } if up_to >= secs(910.0)),
        "{step:?}"
    );
    assert!(rounds == 1 && took < secs(912.0));
}

#[test]
fn what_ends_a_busy_connection_too_is_not_idleness() {
    let host = Host {
        max_age: Some(secs(30.0)),
        ..QUIET
    };
    let (step, _, rounds) = measure(Search::new(ladder()), host);
    assert!(
        matches!(step, Step::Unknown(IdleUnknown::EndsInUse { age }) if age == secs(30.0)),
        "{step:?}"
    );
    assert_eq!(rounds, 2);
    // An idle limit below the maximum age is found all the same.
    let host = Host {
        closes: Some(secs(10.0)),
        ..host
    };
    let (step, ..) = measure(Search::new(ladder()), host);
    assert!(ends(&step).1.abs_diff(secs(10.0)) < secs(0.01));
}

#[test]
fn what_is_known_takes_one_more_round() {
    let fin = IdleLimit::Ends {
        how: IdleEnd::Fin,
        low: secs(60.0),
        high: secs(60.0),
    };
    let host = Host {
        closes: Some(secs(60.0)),
        ..QUIET
    };
    let (step, _, rounds) = measure(Search::from_known(ladder(), fin), host);
    assert_eq!((ends(&step).0, rounds), (IdleEnd::Fin, 1));
    let silence = IdleLimit::Ends {
        how: IdleEnd::Silence,
        low: secs(4.7),
        high: secs(5.2),
    };
    let host = Host {
        forgets: Some(secs(5.0)),
        ..QUIET
    };
    let (step, _, rounds) = measure(Search::from_known(ladder(), silence), host);
    assert_eq!((ends(&step).0, rounds), (IdleEnd::Silence, 1));
    // And what has changed is found.
    let host = Host {
        forgets: Some(secs(40.0)),
        ..QUIET
    };
    let (step, ..) = measure(Search::from_known(ladder(), silence), host);
    let (how, low, high) = ends(&step);
    assert!(how == IdleEnd::Silence && low < secs(40.0) && high > secs(40.0));
    let (step, ..) = measure(Search::from_known(ladder(), fin), QUIET);
    assert!(
        matches!(
            step,
            Step::Known {
                limit: IdleLimit::NoneFound { .. },
                ..
            }
        ),
        "{step:?}"
    );
}

#[test]
fn a_restart_is_no_idle_timeout() {
    let mut search = Search::new(ladder());
    let Step::Measure { rungs, .. } = search.begin() else {
        panic!("a round comes first");
    };
    // Everything ended at once, the busy connection among it.
    let facts = IdleFacts {
        rungs: vec![
            RungOutcome::Ended {
                how: IdleEnd::Rst,
                after: secs(20.0),
            };
            rungs.len()
        ],
        control: ControlFacts {
            uses: 20,
            alive: false,
            ended: Some((secs(20.0), secs(0.3))),
            renewed: None,
        },
        announced: None,
    };
    let Step::Measure { rungs: again, .. } = search.take(&IdleRound::Done(facts)) else {
        panic!("it is tried again");
    };
    assert_eq!(again, rungs);
}

#[test]
fn ends_at_different_times_are_a_span_and_one_end_is_no_claim() {
    let mut search = Search::new(ladder());
    search.begin();
    let ended = |after: f64| {
        IdleRound::Done(IdleFacts {
            rungs: vec![RungOutcome::Ended {
                how: IdleEnd::Fin,
                after: secs(after),
            }],
            control: ControlFacts {
                uses: 1,
                alive: true,
                ..ControlFacts::default()
            },
            announced: Some(secs(60.0)),
        })
    };
    for after in [40.0, 52.0, 47.0] {
        let Step::Measure { rungs, .. } = search.take(&ended(after)) else {
            panic!("it is measured again");
        };
        assert!(rungs.len() == 1 && rungs[0] > secs(52.0).min(secs(after)));
    }
    assert_eq!(
        ends(&search.take(&ended(58.0))),
        (IdleEnd::Fin, secs(40.0), secs(58.0))
    );
    assert_eq!(search.announced(), Some(secs(60.0)));
}

#[test]
fn what_cannot_be_made_is_tried_again_and_then_given_up() {
    let mut search = Search::new(ladder());
    search.begin();
    for _ in 0..CHANCES - 1 {
        let step = search.take(&IdleRound::NotMade("refused".into()));
        assert!(matches!(step, Step::Measure { after: PAUSE, .. }), "{step:?}");
    }
    let step = search.take(&IdleRound::NotMade("refused".into()));
    assert_eq!(step, Step::Unknown(IdleUnknown::NotMade("refused".into())));
    assert_eq!(
        Search::new(ladder()).take(&IdleRound::NotKept),
        Step::Unknown(IdleUnknown::NotKept)
    );
}
