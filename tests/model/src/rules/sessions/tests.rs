//! What the client may say and do at each of two brokers.

use mqtt_core::SessionStatus::{Found, Lost, New, Resumed};

use super::{Change, Sessions};
use crate::rules::{Rule, Verdict};

fn rule(verdict: Verdict) -> Option<Rule> {
    verdict.err().map(|broken| broken.rule)
}

/// Sessions of a client that was at both brokers and is back at the first one.
fn returned() -> Sessions {
    let mut sessions = Sessions::of(true);
    sessions.up(0, Some(false), New);
    sessions.up(1, Some(false), New);
    sessions.up(0, Some(true), Resumed);
    sessions
}

#[test]
fn up_tells_what_the_connack_says_and_the_client_knows() {
    let mut sessions = Sessions::of(true);
    for (present, status) in [(false, New), (true, Found)] {
        for other in [New, Resumed, Lost, Found] {
            let expected = (other != status).then_some(Rule::SessionStatus);
            assert_eq!(rule(sessions.judge(0, Some(present), other)), expected, "{other:?}");
        }
    }
    sessions.up(0, Some(false), New);
    for (present, status) in [(false, Lost), (true, Resumed)] {
        for other in [New, Resumed, Lost, Found] {
            let expected = (other != status).then_some(Rule::SessionStatus);
            assert_eq!(rule(sessions.judge(0, Some(present), other)), expected, "{other:?}");
        }
    }
    assert_eq!(sessions.judge(1, Some(false), New), Ok(()), "each broker counts by itself");
}

#[test]
fn version_3_1_does_not_say_whether_there_is_a_session() {
    let mut sessions = Sessions::of(false);
    assert_eq!(sessions.judge(0, None, New), Ok(()));
    sessions.up(0, None, New);
    assert!(sessions.holds_ids(0), "there may have been one");
    assert_eq!(sessions.judge(0, None, Resumed), Ok(()));
    assert_eq!(rule(sessions.judge(0, None, Lost)), Some(Rule::SessionStatus));
}

#[test]
fn a_power_cut_may_make_the_client_forget_a_session() {
    let mut sessions = Sessions::of(true);
    sessions.up(0, Some(false), New);
    sessions.restarted();
    for (present, status) in [(false, New), (false, Lost), (true, Resumed), (true, Found)] {
        assert_eq!(sessions.judge(0, Some(present), status), Ok(()));
    }
    assert_eq!(rule(sessions.judge(0, Some(true), Lost)), Some(Rule::SessionStatus));
    let change = sessions.up(0, Some(true), Resumed);
    assert_eq!(change, Change { begins: false, elsewhere: false, certain: false });
}

#[test]
fn another_broker_is_another_session() {
    let mut sessions = Sessions::of(true);
    let mut change = |broker, present, status| sessions.up(broker, Some(present), status);
    let certain = Change { begins: false, elsewhere: false, certain: true };
    assert_eq!(change(0, false, New), Change { begins: true, ..certain });
    assert_eq!(change(0, true, Resumed), certain);
    assert_eq!(change(1, false, New), Change { begins: true, elsewhere: true, ..certain });
    assert_eq!(change(0, true, Resumed), Change { elsewhere: true, ..certain });
}

#[test]
fn a_broker_may_hold_ids_if_it_was_left_or_has_a_session_that_was_found() {
    assert!(returned().holds_ids(0));
    let mut sessions = Sessions::of(true);
    sessions.up(0, Some(false), New);
    assert!(!sessions.holds_ids(0));
    sessions.up(0, Some(true), Resumed);
    assert!(!sessions.holds_ids(0));
    sessions.up(1, Some(true), Found);
    assert!(sessions.holds_ids(1));
    sessions.up(1, Some(false), Lost);
    assert!(!sessions.holds_ids(1));
}

#[test]
fn a_session_is_ended_only_if_its_ids_had_to_give_way() {
    let mut sessions = returned();
    sessions.took(0, 1, 2);
    sessions.up(1, Some(true), Resumed);
    sessions.took(1, 1, 2);
    assert_eq!(rule(sessions.end(0)), Some(Rule::Protocol), "there is room for both");
    let mut released = sessions;
    released.released(1, 1);
    released.took(1, 2, 2);
    assert_eq!(rule(released.end(0)), Some(Rule::Protocol), "one is done");
    sessions.took(1, 1, 2);
    assert!(!sessions.may_end(0), "it is the same message again");
    sessions.took(1, 2, 2);
    assert!(sessions.may_end(0) && !sessions.may_end(1));
    assert_eq!(sessions.end(0), Ok(()));
    assert_eq!(sessions.judge(0, Some(false), New), Ok(()), "as it was ended");
    sessions.up(0, Some(false), New);
    assert_eq!(rule(sessions.end(0)), Some(Rule::Protocol), "it is a new one");
}
