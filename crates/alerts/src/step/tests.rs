//! The state machine: told at the change alone, repeated if it is wished, silent while it is muted.

use serde_json::Value;

use super::*;

const HOUR: Duration = Duration::from_secs(3_600);

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(minute * 60).unwrap()
}

fn trouble(message: &str) -> Verdict {
    Verdict::Trouble(found(message))
}

fn found(message: &str) -> Finding {
    Finding { message: message.to_owned(), details: Value::Null, sync: None }
}

fn fine() -> Verdict {
    Verdict::Fine("well again".to_owned())
}

/// Plays verdicts minute by minute and writes down what was told and noted.
fn play(telling: Telling, verdicts: &[(i64, Verdict)]) -> Vec<String> {
    let mut known: Option<Known> = None;
    let mut story = Vec::new();
    for (minute, verdict) in verdicts {
        let now = at(*minute);
        let told = |is_told: bool| if is_told { "told" } else { "silent" };
        match step(Kind::Failed, known.as_ref(), verdict.clone(), telling, now) {
            None => {}
            Some(Step::Raise { finding, is_told }) => {
                story.push(format!("{minute} raised {} ({})", finding.message, told(is_told)));
                let told_at = is_told.then_some(now);
                known = Some(Known { message: finding.message, told_at, is_acknowledged: false, muted_until: None });
            }
            Some(Step::Reword(finding)) => {
                story.push(format!("{minute} now {}", finding.message));
                known.as_mut().unwrap().message = finding.message;
            }
            Some(Step::Tell { finding, is_first }) => {
                story.push(format!("{minute} {}", if is_first { "told at last" } else { "told again" }));
                let known = known.as_mut().unwrap();
                known.told_at = Some(now);
                known.message = finding.map_or(known.message.clone(), |finding| finding.message);
            }
            Some(Step::Recover { is_told, .. }) => {
                story.push(format!("{minute} recovered ({})", told(is_told)));
                known = None;
            }
        }
    }
    story
}

#[test]
fn it_is_told_when_it_begins_and_when_it_ends_and_not_in_between() {
    let story = play(
        Telling::default(),
        &[
            (0, fine()),
            (1, Verdict::Unknown),
            (2, trouble("a")),
            (3, trouble("a")),
            (4, Verdict::Unknown),
            (5, trouble("b")),
            (6, fine()),
            (7, fine()),
            (8, trouble("a")),
        ],
    );
    assert_eq!(story, ["2 raised a (told)", "5 now b", "6 recovered (told)", "8 raised a (told)"]);
}

#[test]
fn it_is_told_again_while_it_lasts_if_that_is_wished() {
    let telling = Telling { repeat_every: Some(HOUR), muted_until: None };
    let verdicts: Vec<_> = (0..=150).step_by(10).map(|minute| (minute, trouble("a"))).collect();
    assert_eq!(play(telling, &verdicts), ["0 raised a (told)", "60 told again", "120 told again"]);
    // The facts need not tell anew that it lasts.
    let story = play(telling, &[(0, trouble("a")), (61, Verdict::Unknown), (62, fine())]);
    assert_eq!(story, ["0 raised a (told)", "61 told again", "62 recovered (told)"]);
}

#[test]
fn what_began_while_a_rule_was_muted_is_told_afterwards_if_it_lasts() {
    let telling = Telling { repeat_every: None, muted_until: Some(at(10)) };
    let story = play(telling, &[(1, trouble("a")), (9, trouble("a")), (10, trouble("a")), (11, fine())]);
    assert_eq!(story, ["1 raised a (silent)", "10 told at last", "11 recovered (told)"]);
    let story = play(telling, &[(1, trouble("a")), (9, fine())]);
    assert_eq!(story, ["1 raised a (silent)", "9 recovered (silent)"]);
}

#[test]
fn one_alert_that_is_muted_is_silent_until_then() {
    let telling = Telling { repeat_every: Some(HOUR), muted_until: None };
    let known =
        |muted_until| Known { message: "a".to_owned(), told_at: Some(at(0)), is_acknowledged: false, muted_until };
    let muted = known(Some(at(100)));
    assert_eq!(step(Kind::Failed, Some(&muted), trouble("a"), telling, at(90)), None);
    let recovered = step(Kind::Failed, Some(&muted), fine(), telling, at(90));
    assert_eq!(recovered, Some(Step::Recover { message: "well again".to_owned(), is_told: false }));
    let again = step(Kind::Failed, Some(&muted), trouble("a"), telling, at(100));
    assert_eq!(again, Some(Step::Tell { finding: Some(found("a")), is_first: false }));
}

#[test]
fn what_somebody_has_taken_note_of_is_not_told_again_but_its_end_is() {
    let telling = Telling { repeat_every: Some(HOUR), muted_until: None };
    let known = Known { message: "a".to_owned(), told_at: Some(at(0)), is_acknowledged: true, muted_until: None };
    assert_eq!(step(Kind::Failed, Some(&known), trouble("a"), telling, at(500)), None);
    let recovered = step(Kind::Failed, Some(&known), fine(), telling, at(501));
    assert_eq!(recovered, Some(Step::Recover { message: "well again".to_owned(), is_told: true }));
}

#[test]
fn a_clock_that_was_set_back_repeats_nothing() {
    let telling = Telling { repeat_every: Some(HOUR), muted_until: None };
    let story = play(telling, &[(1_000, trouble("a")), (10, trouble("a")), (1_060, trouble("a"))]);
    assert_eq!(story, ["1000 raised a (told)", "1060 told again"]);
}
