//! Tables of words: which may follow which, and which end a responder.

use super::*;
use slash32_binding::{Binding, Bytes, Ipv4Addr, Outcome, Reason, Verdict};
use slash32_ipc::KeptAs;

/// When the binding is given, and when the word that is judged comes.
const GIVEN: u64 = 100 * SECOND;
const NOW: u64 = 130 * SECOND;

const SEVEN: Generation = Generation(7);

fn state(generation: Generation) -> State {
    State {
        generation,
        confirmed: false,
        last_ack_age: None,
        lease_time: 0,
        told: 0,
        released: false,
        asked: false,
        counters: Counters::ZERO,
    }
}

/// The VM was acknowledged 10 s ago.
fn acknowledged() -> State {
    State {
        confirmed: true,
        last_ack_age: Some(10 * SECOND),
        lease_time: 86_400,
        told: 99,
        ..state(SEVEN)
    }
}

fn hello(generation: Generation, confirmed: bool) -> ToResponder {
    ToResponder::Hello(Hello {
        generation,
        confirmed,
        binding: Binding::new(Ipv4Addr::new(203, 0, 113, 7), Ipv4Addr::new(169, 254, 0, 1)),
    })
}

/// A responder that was given generation 7, unconfirmed.
fn given() -> Conversation {
    let mut conversation = Conversation::default();
    conversation.told(&hello(SEVEN, false), GIVEN);
    conversation
}

fn confirmed() -> Conversation {
    let mut conversation = given();
    conversation.told(&ToResponder::Confirm(SEVEN), GIVEN + SECOND);
    conversation
}

fn kept(generation: Generation, age: u64) -> Kept {
    Kept {
        generation,
        kept_as: KeptAs::Request,
        age,
        verdict: Verdict::Answered(Outcome::Offer),
        frame: Bytes::new(0),
    }
}

#[test]
fn an_honest_life_breaks_no_rule() {
    let mut c = Conversation::default();
    c.state(&state(Generation::NONE), GIVEN).unwrap();
    c.told(&hello(SEVEN, false), GIVEN);
    c.state(&state(SEVEN), GIVEN).unwrap();
    // A client that asks again, and a Confirm that crosses its claims.
    c.claim(SEVEN).unwrap();
    c.claim(SEVEN).unwrap();
    c.told(&ToResponder::Confirm(SEVEN), GIVEN);
    c.claim(SEVEN).unwrap();
    c.state(&acknowledged(), NOW).unwrap();
    c.told(&ToResponder::Inquire, NOW);
    // One that was on its way comes before the answer.
    c.state(&acknowledged(), NOW).unwrap();
    c.kept(&kept(SEVEN, SECOND), NOW).unwrap();
    c.kept(&kept(SEVEN, SECOND), NOW).unwrap();
    let answer = State {
        asked: true,
        ..acknowledged()
    };
    c.state(&answer, NOW).unwrap();
    // The VM goes and another comes; the last words about the first cross that.
    c.told(&ToResponder::End(SEVEN), NOW);
    c.told(&hello(Generation(8), true), NOW);
    c.state(&acknowledged(), NOW).unwrap();
    c.state(&state(Generation::NONE), NOW).unwrap();
    let next = State {
        confirmed: true,
        ..state(Generation(8))
    };
    c.state(&next, NOW).unwrap();
    assert_eq!(c.state(&acknowledged(), NOW), Err(Fault::Generation));
}

#[test]
fn a_state_that_cannot_be_ends_the_responder() {
    let counted = |outcomes: u64, reasons: u64| {
        let mut counters = Counters::ZERO;
        counters.outcomes[Outcome::Offer.index()] = outcomes;
        counters.reasons[Reason::Held.index()] = reasons;
        counters
    };
    let cases: [(&str, Conversation, State, Result<(), Fault>); 15] = [
        ("as it is", confirmed(), acknowledged(), Ok(())),
        (
            "never given",
            confirmed(),
            state(Generation(8)),
            Err(Fault::Generation),
        ),
        (
            "the last there is",
            confirmed(),
            state(Generation(u64::MAX)),
            Err(Fault::Generation),
        ),
        (
            "before it was given any",
            Conversation::default(),
            state(SEVEN),
            Err(Fault::Generation),
        ),
        (
            "nothing, and bound",
            confirmed(),
            State {
                generation: Generation::NONE,
                ..acknowledged()
            },
            Err(Fault::Generation),
        ),
        (
            "confirmed by nobody",
            given(),
            acknowledged(),
            Err(Fault::Confirmed),
        ),
        (
            "acknowledged without being confirmed",
            confirmed(),
            State {
                confirmed: false,
                ..acknowledged()
            },
            Err(Fault::Confirmed),
        ),
        (
            "acknowledged before it was given",
            confirmed(),
            State {
                last_ack_age: Some(NOW - GIVEN + 1),
                ..acknowledged()
            },
            Err(Fault::Age),
        ),
        (
            "acknowledged in the year 0",
            confirmed(),
            State {
                last_ack_age: Some(u64::MAX),
                ..acknowledged()
            },
            Err(Fault::Age),
        ),
        (
            "a lease without an ACK",
            confirmed(),
            State {
                last_ack_age: None,
                ..acknowledged()
            },
            Err(Fault::Lease),
        ),
        (
            "a lease for ever",
            confirmed(),
            State {
                lease_time: u32::MAX,
                ..acknowledged()
            },
            Err(Fault::Lease),
        ),
        (
            "asked by nobody",
            confirmed(),
            State {
                asked: true,
                ..acknowledged()
            },
            Err(Fault::Unasked),
        ),
        (
            "a frame a nanosecond",
            confirmed(),
            State {
                counters: counted(NOW, 1),
                ..acknowledged()
            },
            Err(Fault::Counters),
        ),
        (
            "more frames than there are numbers",
            confirmed(),
            State {
                counters: counted(u64::MAX, u64::MAX),
                ..acknowledged()
            },
            Err(Fault::Counters),
        ),
        (
            "counters",
            confirmed(),
            State {
                counters: counted(20_000, 1),
                ..acknowledged()
            },
            Ok(()),
        ),
    ];
    for (what, mut conversation, said, expected) in cases {
        assert_eq!(conversation.state(&said, NOW), expected, "{what}");
    }
}

#[test]
fn what_was_once_so_stays_so() {
    let mut c = confirmed();
    let mut counters = Counters::ZERO;
    counters.outcomes[0] = 5;
    c.state(
        &State {
            counters,
            ..acknowledged()
        },
        NOW,
    )
    .unwrap();
    counters.outcomes[0] = 4;
    let fewer = State {
        counters,
        ..acknowledged()
    };
    assert_eq!(c.state(&fewer, NOW), Err(Fault::Counters));

    let mut c = confirmed();
    c.state(&acknowledged(), NOW).unwrap();
    assert_eq!(c.state(&state(SEVEN), NOW), Err(Fault::Confirmed));
}

#[test]
fn a_claim_that_cannot_be_ends_the_responder() {
    assert_eq!(given().claim(SEVEN), Ok(()));
    assert_eq!(given().claim(Generation(8)), Err(Fault::Generation));
    assert_eq!(given().claim(Generation::NONE), Err(Fault::Generation));
    // It has said that it is confirmed.
    let mut c = confirmed();
    c.state(&acknowledged(), NOW).unwrap();
    assert_eq!(c.claim(SEVEN), Err(Fault::Claim));
    // It was confirmed from the start.
    let mut c = Conversation::default();
    c.told(&hello(SEVEN, true), GIVEN);
    assert_eq!(c.claim(SEVEN), Err(Fault::Claim));
    // It was told so, and goes on and on.
    let mut c = confirmed();
    let verdicts: Vec<_> = (0..=CLAIMS_ON_THEIR_WAY).map(|_| c.claim(SEVEN)).collect();
    let (last, before) = verdicts.split_last().unwrap();
    assert_eq!(*last, Err(Fault::Claim));
    assert!(before.iter().all(Result::is_ok));
}

#[test]
fn a_frame_comes_only_when_it_was_asked_for() {
    let mut c = confirmed();
    assert_eq!(c.kept(&kept(SEVEN, 0), NOW), Err(Fault::Unasked));
    let mut c = confirmed();
    c.told(&ToResponder::Inquire, NOW);
    for _ in 0..KEPT_EACH {
        c.kept(&kept(SEVEN, 0), NOW).unwrap();
    }
    assert_eq!(c.kept(&kept(SEVEN, 0), NOW), Err(Fault::Unasked));
    let mut c = confirmed();
    c.told(&ToResponder::Inquire, NOW);
    assert_eq!(c.kept(&kept(Generation(9), 0), NOW), Err(Fault::Generation));
    let mut c = confirmed();
    c.told(&ToResponder::Inquire, NOW);
    assert_eq!(c.kept(&kept(SEVEN, u64::MAX), NOW), Err(Fault::Age));
}

#[test]
fn an_adopted_responder_is_believed_what_an_earlier_agent_may_have_given() {
    let mut c = Conversation::continued(&acknowledged(), NOW).unwrap();
    let later = State {
        lease_time: u32::MAX,
        ..acknowledged()
    };
    c.state(&later, NOW).unwrap();
    assert_eq!(c.claim(SEVEN), Err(Fault::Claim));
    // Before the boot there was nothing.
    let older = State {
        last_ack_age: Some(NOW + 1),
        ..acknowledged()
    };
    assert_eq!(
        Conversation::continued(&older, NOW).map(drop),
        Err(Fault::Age)
    );
    let waiting = Conversation::continued(&state(SEVEN), NOW);
    assert_eq!(waiting.unwrap().claim(SEVEN), Ok(()));
}

#[test]
fn a_flood_of_words_ends_the_responder_and_a_burst_does_not() {
    let mut c = given();
    for second in 0..20 {
        for _ in 0..FLOOD.0 {
            c.state(&state(SEVEN), NOW + second * SECOND).unwrap();
        }
    }
    for _ in 0..10_000 {
        c.state(&state(SEVEN), NOW + 100 * SECOND).unwrap();
    }
    let mut said = 0_u32;
    let end = loop {
        said += 1;
        let at = NOW + 200 * SECOND + u64::from(said) * SECOND / 300;
        if let Err(fault) = c.state(&state(SEVEN), at) {
            break fault;
        }
    };
    assert_eq!(end, Fault::Flood);
    assert!(said < 300 * (FLOOD.1 + 2), "after {said} words");
}

#[test]
fn a_responder_that_never_speaks_costs_a_bounded_memory() {
    let mut c = Conversation::default();
    for number in 1..100_000 {
        c.told(&hello(Generation(number), false), GIVEN);
    }
    assert_eq!(c.given.len(), MOST_GIVEN);
}

#[test]
fn every_kind_of_fault_has_its_own_place_name_and_sentence() {
    let all = [
        Fault::Ended,
        Fault::Silent,
        Fault::Deaf,
        Fault::Version(9),
        Fault::Malformed,
        Fault::Generation,
        Fault::Claim,
        Fault::Confirmed,
        Fault::Age,
        Fault::Lease,
        Fault::Counters,
        Fault::Unasked,
        Fault::Flood,
    ];
    for (place, fault) in all.into_iter().enumerate() {
        assert_eq!(fault.index(), place);
        assert!(
            all[..place]
                .iter()
                .all(|before| before.to_string() != fault.to_string())
        );
    }
    assert_eq!(all.map(Fault::name), Fault::NAMES);
}

#[test]
fn a_responder_is_behind_until_it_speaks_of_what_it_was_told_last() {
    let mut conversation = given();
    let mut hears = |word: &ToResponder, states: &[(Generation, bool)]| {
        conversation.told(word, NOW);
        for (generation, is_behind) in states {
            conversation.state(&state(*generation), NOW).unwrap();
            assert_eq!(
                conversation.is_behind(),
                *is_behind,
                "{word:?}, {generation:?}"
            );
        }
    };
    // Its first word is of before.
    let none = Generation::NONE;
    hears(&hello(SEVEN, false), &[(none, true), (SEVEN, false)]);
    // So is one that was on its way.
    hears(&ToResponder::End(SEVEN), &[(SEVEN, true), (none, false)]);
    hears(&ToResponder::Inquire, &[(none, false)]);
}
