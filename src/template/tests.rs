use super::*;

fn fault(source: &str) -> Fault {
    check(source).expect_err(source)
}

#[test]
fn good_templates_are_good() {
    for source in [
        "",
        "plain text",
        "{{ receiver }} {{ occasion }} {{ status }} {{ severity }} {{ title }} {{ text }} {{ description }}",
        "{{ cause }} {{ speed }} {{ phase }} {{ since }} {{ at }} {{ fix }} {{ runbook_url }} {{ external_url }} {{ incident }} {{ id }}",
        "{% for factor in factors %}{{ factor.kind }}={{ factor.name }}{% endfor %}",
        "{% for name, value in evidence | items %}{{ name }}={{ value }} {% endfor %}{{ evidence.errno }}",
        "{{ labels.team }}{{ labels.nobody_has_this }}{{ labels['with.dots'] }}",
        "{% for a in alerts %}{{ a.name }}{{ a.rule }}{{ a.subject }}{{ a.dependency }}{{ a.severity }}{{ a.status }}{{ a.since }}\
         {{ a.ended }}{{ a.because }}{{ a.summary }}{{ a.description }}{{ a.fix }}{{ a.cause }}{{ a.speed }}{{ a.phase }}\
         {{ a.evidence.errno }}{{ a.labels.team }}{{ a.id }}{{ loop.index }}{% endfor %}",
        "{% if cause %}{{ cause }}{% else %}none{% endif %}{% if alerts | length > 1 %}many{% endif %}",
        "{{ affected | join(', ') }} {{ suppressed | length }} {{ firing }}/{{ resolved }}",
        "{% set who = labels.team %}{{ who | upper | default('nobody') }}",
    ] {
        assert_eq!(check(source), Ok(()), "{source}");
    }
}

#[test]
fn every_variable_is_there_and_every_one_that_is_there_is_documented() {
    for (name, _) in VARIABLES {
        assert_eq!(check(&format!("{{{{ {name} }}}}")), Ok(()), "{name}");
    }
}

#[test]
fn mistakes_are_found_when_it_is_loaded() {
    let unknown = fault("one\n{{ severty }}");
    assert_eq!(unknown.line, Some(2));
    assert_eq!(unknown.what, "there is no variable \"severty\"");
    assert_eq!(unknown.instead.as_deref(), Some("severity"));
    // Also where no sample would come by.
    assert!(
        fault("{% if false %}{{ nonsense }}{% endif %}")
            .what
            .contains("nonsense")
    );
    assert_eq!(fault("{{ title").line, Some(1));
    assert!(fault("{{ title | frobnicate }}").what.contains("frobnicate"));
    assert_eq!(
        fault("{% for a in alerts %}{{ a.naem }}{% endfor %}").what,
        "there is no `a.naem`"
    );
    // There is one alert, and mostly no second.
    assert_eq!(check("{{ alerts[0].summary }}"), Ok(()));
    assert_eq!(fault("{{ alerts[1].summary }}").what, "there is no `[1].summary`");
    assert!(fault(&"x".repeat(100_000)).what.contains("longer"));
}

#[test]
fn it_reaches_nothing_else() {
    for source in [
        "{% include '/etc/passwd' %}",
        "{% import 'x' as y %}{{ title }}",
        "{% extends 'x' %}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    ] {
        assert!(check(source).is_err(), "{source}");
    }
}

#[test]
fn work_and_output_are_bounded() {
    let loops = fault("{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}");
    assert!(loops.what.contains("too much work"), "{loops}");
    let order = sample::orders().remove(0);
    let facts = Facts {
        order: &order,
        text: &"y".repeat(10_000),
    };
    let long = render(
        "{% for a in range(1000) %}{{ text }}{% endfor %}",
        &facts,
        Escape::None,
    );
    assert_eq!(long.map(|text| text.len()), Ok(LONGEST));
}

#[test]
fn values_are_escaped_for_slack_and_the_template_is_not() {
    let order = sample::orders().remove(0);
    let facts = Facts {
        order: &order,
        text: "a <b> & c",
    };
    let slack = render(
        "<https://x|link> {{ text }} {{ '<raw>' | safe }}",
        &facts,
        Escape::Slack,
    );
    assert_eq!(slack.as_deref(), Ok("<https://x|link> a &lt;b&gt; &amp; c <raw>"));
    let plain = render("{{ text }}", &facts, Escape::None);
    assert_eq!(plain.as_deref(), Ok("a <b> & c"));
}
