use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::load::text::units_of;

fn apply(transcript: &mut Transcript, frame: &Value) -> Reaction {
    transcript.apply(&frame.to_string())
}

fn welcome(recovered: &str, epoch: &str, seq: u64) -> Value {
    json!({ "type": "welcome", "session": "s_1", "epoch": epoch, "seq": seq, "recovered": recovered })
}

fn message(seq: u64, id: &str) -> Value {
    json!({ "type": "message", "seq": seq, "message": { "id": id, "role": "user", "text": "?", "status": "complete" } })
}

fn start(seq: u64, run: &str, question: &str) -> Value {
    json!({ "type": "run.start", "seq": seq, "run": run, "message": format!("a-{run}"), "for": question })
}

fn delta(run: &str, off: u64, text: &str) -> Value {
    json!({ "type": "delta", "run": run, "off": off, "text": text })
}

fn done(seq: u64, run: &str, text: &str) -> Value {
    let crc32 = format!("{:08x}", crc32fast::hash(text.as_bytes()));
    json!({ "type": "run.done", "seq": seq, "run": run, "message": format!("a-{run}"), "status": "complete",
            "len": units_of(text), "crc32": crc32 })
}

/// A transcript in which run `r` answers question `q` and nothing was written yet.
fn begun() -> Transcript {
    let mut transcript = Transcript::default();
    assert_eq!(apply(&mut transcript, &welcome("new", "e", 0)), Reaction::Welcome);
    apply(&mut transcript, &message(1, "q"));
    apply(&mut transcript, &start(2, "r", "q"));
    transcript
}

#[test]
fn a_plain_answer_is_proven_and_its_text_forgotten() {
    let mut transcript = begun();
    assert_eq!(transcript.cursor(), "e:2:r:0");
    assert_eq!(apply(&mut transcript, &delta("r", 0, "Hello 😀")), Reaction::Grew(Some("q".to_owned())));
    assert_eq!(transcript.cursor(), "e:2:r:8");
    assert_eq!(
        apply(&mut transcript, &json!({ "type": "run.phase", "run": "r", "phase": "streaming" })),
        Reaction::Idle
    );
    apply(&mut transcript, &delta("r", 8, "!"));
    assert!(transcript.answer("q").is_none());
    assert_eq!(apply(&mut transcript, &done(3, "r", "Hello 😀!")), Reaction::Proven);
    assert_eq!(transcript.answer("q").map(|proof| proof.status.as_str()), Some("complete"));
    assert_eq!(transcript.cursor(), "e:3");
    assert_eq!(transcript.proven().map(|(id, _)| id).collect::<Vec<_>>(), ["a-r"]);
    assert!(transcript.faults.is_none(), "{:?}", transcript.faults);
    // What comes late or twice changes nothing.
    for late in [delta("r", 0, "Hello"), done(3, "r", "Hello 😀!"), start(2, "r", "q"), message(1, "q")] {
        assert_eq!(apply(&mut transcript, &late), Reaction::Idle);
    }
    assert!(transcript.faults.is_none(), "{:?}", transcript.faults);
}

#[test]
fn a_gap_is_asked_for_once_and_filled() {
    let mut transcript = begun();
    apply(&mut transcript, &delta("r", 0, "ab"));
    assert_eq!(apply(&mut transcript, &delta("r", 3, "d")), Reaction::Sync("r".to_owned(), 2));
    assert_eq!(apply(&mut transcript, &delta("r", 4, "e")), Reaction::Idle);
    assert_eq!(apply(&mut transcript, &delta("r", 1, "bcde")), Reaction::Grew(Some("q".to_owned())));
    assert_eq!(apply(&mut transcript, &done(3, "r", "abcde")), Reaction::Proven);
    assert!(transcript.faults.is_none());
}

#[test]
fn a_text_that_does_not_fit_is_asked_for_again_and_then_given_up() {
    let mut transcript = begun();
    apply(&mut transcript, &delta("r", 0, "wrong"));
    assert_eq!(apply(&mut transcript, &done(3, "r", "right")), Reaction::Sync("r".to_owned(), 0));
    assert_eq!(transcript.unproven(), [("r".to_owned(), 0)]);
    for _ in 0..2 {
        assert_eq!(apply(&mut transcript, &delta("r", 0, "wrong")), Reaction::Sync("r".to_owned(), 0));
    }
    assert!(transcript.faults.is_none(), "it may still be repaired");
    assert_eq!(apply(&mut transcript, &delta("r", 0, "wrong")), Reaction::GivenUp);
    assert_eq!(transcript.faults, Faults { altered: 1, ..Faults::default() });
    assert!(transcript.answer("q").is_none());

    // Too short is not altered: the rest may come.
    let mut transcript = begun();
    assert_eq!(apply(&mut transcript, &done(3, "r", "late")), Reaction::Sync("r".to_owned(), 0));
    apply(&mut transcript, &delta("r", 0, "la"));
    assert_eq!(apply(&mut transcript, &delta("r", 2, "te")), Reaction::Proven);
    assert!(transcript.faults.is_none());
}

#[test]
fn contradicting_text_is_counted() {
    let mut transcript = begun();
    apply(&mut transcript, &delta("r", 0, "abc"));
    apply(&mut transcript, &delta("r", 1, "xy and more"));
    assert_eq!(transcript.faults, Faults { altered: 1, ..Faults::default() });
    assert_eq!(apply(&mut transcript, &done(3, "r", "abc")), Reaction::Proven);
}

#[test]
fn what_exists_twice_is_counted() {
    let twice = |frames: &[Value]| {
        let mut transcript = begun();
        for frame in frames {
            apply(&mut transcript, frame);
        }
        transcript.faults
    };
    let duplicated = Faults { duplicated: 1, ..Faults::default() };
    assert_eq!(twice(&[message(3, "q")]), duplicated);
    assert_eq!(twice(&[start(3, "r2", "q")]), duplicated, "a second run for one question");
    assert_eq!(twice(&[start(3, "r", "q2")]), duplicated, "one run for two questions");
    assert_eq!(twice(&[done(3, "r", ""), done(4, "r", "")]), duplicated);
}

#[test]
fn what_was_never_announced_is_counted() {
    let disordered = Faults { disordered: 1, ..Faults::default() };
    for frame in [
        message(4, "q2"),
        delta("stranger", 0, "x"),
        done(3, "stranger", "x"),
        welcome("full", "another", 2),
        welcome("full", "e", 1),
        json!({ "type": "welcome", "session": "s_2", "epoch": "e", "seq": 2, "recovered": "full" }),
    ] {
        let mut transcript = begun();
        apply(&mut transcript, &frame);
        assert_eq!(transcript.faults, disordered, "{frame}");
    }
}

#[test]
fn what_the_protocol_does_not_know_is_counted() {
    for text in [
        "",
        "[]",
        "{}",
        r#"{"type":7}"#,
        r#"{"type":"delta","run":"r","off":0}"#,
        r#"{"type":"delta","run":"r","off":-1,"text":"x"}"#,
        r#"{"type":"delta","run":"r","off":0,"text":"\ud800"}"#,
        r#"{"type":"run.done","seq":3,"run":"r","len":0,"crc32":"zz","status":"complete"}"#,
        r#"{"type":"message","seq":3,"message":"q"}"#,
        r#"{"type":"welcome","session":"s_1","epoch":"e","seq":0,"recovered":"perhaps"}"#,
        r#"{"type":"snapshot","seq":3}"#,
    ] {
        let mut transcript = begun();
        assert_eq!(transcript.apply(text), Reaction::Idle);
        assert_eq!(transcript.faults, Faults { malformed: 1, ..Faults::default() }, "{text}");
    }
    let mut transcript = begun();
    transcript.apply(r#"{"type":"from.the.future","anything":[]}"#);
    assert!(transcript.faults.is_none(), "unknown types are for later versions");
}

#[test]
fn small_frames_say_what_to_do() {
    let mut transcript = begun();
    assert_eq!(transcript.apply(r#"{"type":"ping","t":17}"#), Reaction::Ping(r#"{"type":"pong","t":17}"#.to_owned()));
    assert_eq!(transcript.apply(r#"{"type":"ping"}"#), Reaction::Ping(r#"{"type":"pong"}"#.to_owned()));
    assert_eq!(apply(&mut transcript, &json!({ "type": "goaway", "retry_in_ms": 9 })), Reaction::Goaway(9));
    let ack = json!({ "type": "ack", "re": "q", "message": "q", "run": "r", "duplicate": true });
    assert_eq!(apply(&mut transcript, &ack), Reaction::Acked("q".to_owned()));
    let error =
        json!({ "type": "error", "re": "q", "code": "busy", "message": "x", "retryable": true, "retry_in_ms": 5 });
    assert_eq!(
        apply(&mut transcript, &error),
        Reaction::Refused { re: Some("q".to_owned()), code: "busy".to_owned(), retryable: true, retry_in_ms: 5 }
    );
}

#[test]
fn a_snapshot_replaces_and_an_interrupted_answer_is_an_answer() {
    let mut transcript = begun();
    apply(&mut transcript, &delta("r", 0, "half of it, and some more"));
    assert_eq!(apply(&mut transcript, &welcome("snapshot", "e2", 7)), Reaction::Welcome);
    let snapshot = json!({ "type": "snapshot", "seq": 7, "messages": [
        { "id": "q", "role": "user", "text": "?", "status": "complete", "run": "r" },
        { "id": "a-r", "role": "assistant", "text": "half of it", "status": "interrupted", "run": "r" },
        { "id": "q2", "role": "user", "text": "?", "status": "complete", "run": "r2" },
        { "id": "a-r2", "role": "assistant", "text": "", "status": "pending", "run": "r2" },
    ], "runs": [{ "run": "r2", "message": "a-r2", "off": 0, "text": "so far", "phase": "streaming" }] });
    assert_eq!(apply(&mut transcript, &snapshot), Reaction::Proven);
    let proof = transcript.answer("q").expect("ended");
    assert!(proof.status == "interrupted" && proof.holds("half of it"));
    assert_eq!(transcript.cursor(), "e2:7:r2:6");
    assert_eq!(apply(&mut transcript, &delta("r2", 6, "!")), Reaction::Grew(Some("q2".to_owned())));
    assert_eq!(apply(&mut transcript, &done(8, "r2", "so far!")), Reaction::Proven);
    assert!(transcript.faults.is_none(), "{:?}", transcript.faults);
}

/// What is counted when run `r` was held as "half of it" and a snapshot brings it as `text`: with a `status` as an
/// answer that ended, without as one in progress.
fn after_snapshot(epoch: &str, status: Option<&str>, text: &str) -> Faults {
    let mut transcript = begun();
    apply(&mut transcript, &delta("r", 0, "half of it"));
    apply(&mut transcript, &welcome("snapshot", epoch, 7));
    let (ended, live) = if status.is_some() { (text, json!([])) } else { ("", json!([{ "run": "r", "text": text }])) };
    let messages = json!([
        { "id": "q", "role": "user", "text": "?", "status": "complete", "run": "r" },
        { "id": "a-r", "role": "assistant", "text": ended, "status": status.unwrap_or("pending"), "run": "r" },
    ]);
    apply(&mut transcript, &json!({ "type": "snapshot", "seq": 7, "messages": messages, "runs": live }));
    transcript.faults
}

#[test]
fn a_snapshot_brings_back_what_was_held() {
    let altered = Faults { altered: 1, ..Faults::default() };
    for (status, text) in
        [(None, "half of it"), (Some("complete"), "half of it, and all"), (Some("error"), "half of it.")]
    {
        for epoch in ["e", "e2"] {
            assert_eq!(after_snapshot(epoch, status, text), Faults::default(), "{epoch} {status:?} {text}");
        }
    }
    for (status, text) in [(None, "half"), (None, ""), (Some("complete"), "half"), (Some("error"), "other")] {
        for epoch in ["e", "e2"] {
            assert_eq!(after_snapshot(epoch, status, text), altered, "{epoch} {status:?} {text}");
        }
    }
    // The last checkpoint before a crash may lie behind what was sent. Within one epoch nobody crashed.
    assert_eq!(after_snapshot("e2", Some("interrupted"), "half"), Faults::default());
    assert_eq!(after_snapshot("e2", Some("interrupted"), "hulf"), altered);
    assert_eq!(after_snapshot("e", Some("interrupted"), "half"), altered);
}

#[test]
fn an_end_known_from_a_snapshot_is_told_once_more_and_the_same() {
    let counted = |ends: &[Value]| {
        let mut transcript = begun();
        let answer = json!({ "id": "a-r", "role": "assistant", "text": "whole", "status": "complete", "run": "r" });
        apply(&mut transcript, &json!({ "type": "snapshot", "seq": 2, "messages": [answer] }));
        for end in ends {
            apply(&mut transcript, end);
        }
        transcript.faults
    };
    assert_eq!(counted(&[done(3, "r", "whole")]), Faults::default());
    assert_eq!(counted(&[done(3, "r", "hole")]), Faults { altered: 1, ..Faults::default() });
    let twice = [done(3, "r", "whole"), done(4, "r", "whole")];
    assert_eq!(counted(&twice), Faults { duplicated: 1, ..Faults::default() });
}

#[test]
fn every_restart_tells_the_end_of_an_interrupted_answer_once() {
    let mut transcript = begun();
    let answer = json!({ "id": "a-r", "role": "assistant", "text": "half", "status": "interrupted", "run": "r" });
    let mut end = done(1, "r", "half");
    end["status"] = "interrupted".into();
    for epoch in ["e2", "e3"] {
        apply(&mut transcript, &welcome("snapshot", epoch, 1));
        apply(&mut transcript, &json!({ "type": "snapshot", "seq": 0, "messages": [answer] }));
        apply(&mut transcript, &end);
        assert!(transcript.faults.is_none(), "{epoch}: {:?}", transcript.faults);
    }
    end["seq"] = 2.into();
    apply(&mut transcript, &end);
    assert_eq!(transcript.faults, Faults { duplicated: 1, ..Faults::default() });
}

#[test]
fn a_proven_answer_stays_the_same_in_every_snapshot() {
    for (text, altered) in [("whole", 0), ("whole!", 1)] {
        let mut transcript = begun();
        apply(&mut transcript, &delta("r", 0, "whole"));
        apply(&mut transcript, &done(3, "r", "whole"));
        let answer = json!({ "id": "a-r", "role": "assistant", "text": text, "status": "complete", "run": "r" });
        apply(&mut transcript, &json!({ "type": "snapshot", "seq": 3, "messages": [answer] }));
        assert_eq!(transcript.faults, Faults { altered, ..Faults::default() });
    }
}

#[test]
fn who_is_cut_before_the_snapshot_comes_back_with_the_old_cursor() {
    let mut transcript = begun();
    apply(&mut transcript, &welcome("snapshot", "e2", 7));
    assert_eq!(transcript.cursor(), "e:2:r:0");
    apply(&mut transcript, &welcome("snapshot", "e2", 7));
    apply(&mut transcript, &json!({ "type": "snapshot", "seq": 7, "messages": [] }));
    assert_eq!(transcript.cursor(), "e2:7");
}

#[test]
fn a_failover_takes_text_back() {
    let mut transcript = begun();
    apply(&mut transcript, &delta("r", 0, "kept, withdrawn"));
    apply(
        &mut transcript,
        &json!({ "type": "failover", "run": "r", "keep": 4, "from": "a", "to": "b", "reason": "x" }),
    );
    apply(&mut transcript, &delta("r", 4, "!"));
    assert_eq!(apply(&mut transcript, &done(3, "r", "kept!")), Reaction::Proven);
    assert!(transcript.faults.is_none());
}

proptest! {
    /// A gateway that replays from wherever it likes before the cursor, in whatever pieces, as often as sockets
    /// break: every answer is exact, and nothing counts as a fault.
    #[test]
    fn any_honest_replay_is_proven(
        texts in prop::collection::vec("(?s).{0,30}", 1..4),
        choices in prop::collection::vec((0u64..5, 0usize..9, prop::bool::weighted(0.2)), 1..80),
    ) {
        let runs: Vec<String> = (0..texts.len()).map(|n| format!("r{n}")).collect();
        let mut log = Vec::new();
        for (n, text) in texts.iter().enumerate() {
            let seq = 3 * n as u64;
            log.push((message(seq + 1, &format!("q{n}")), None));
            log.push((start(seq + 2, &runs[n], &format!("q{n}")), None));
            log.push((done(seq + 3, &runs[n], text), Some(n)));
        }
        let mut transcript = Transcript::default();
        apply(&mut transcript, &welcome("new", "e", 0));
        let mut choices = choices.into_iter().cycle();
        // Cut in every piece a conversation never ends; after a while the sockets hold.
        let mut connections = 0;
        'connection: while transcript.answer(&format!("q{}", texts.len() - 1)).is_none() {
            connections += 1;
            prop_assert!(connections < 2000, "no progress");
            let cursor = transcript.cursor();
            let mut parts = cursor.split(':').skip(1);
            let seq: usize = parts.next().and_then(|seq| seq.parse().ok()).expect("a number");
            let live = parts.next().map(str::to_owned);
            let known: u64 = parts.next().map_or(0, |off| off.parse().expect("a number"));
            if connections > 1 {
                apply(&mut transcript, &welcome("full", "e", log.len() as u64));
            }
            let (back, ..) = choices.next().expect("endless");
            for (event, ends) in &log[seq.saturating_sub(back as usize)..] {
                if let Some(n) = *ends {
                    // From somewhere at or before the cursor, one piece after the other.
                    let bounds: Vec<usize> = texts[n].char_indices().map(|(at, _)| at).chain([texts[n].len()]).collect();
                    let known = if live.as_ref() == Some(&runs[n]) { known } else { 0 };
                    let at_cursor = bounds.iter().position(|byte| units_of(&texts[n][..*byte]) == known).expect("a bound");
                    let mut from = at_cursor.saturating_sub(back as usize);
                    while from + 1 < bounds.len() {
                        let (back, length, cut) = choices.next().expect("endless");
                        let to = (from + 1 + length).min(bounds.len() - 1);
                        apply(&mut transcript, &delta(&runs[n], units_of(&texts[n][..bounds[from]]), &texts[n][bounds[from]..bounds[to]]));
                        if cut && connections < 100 {
                            continue 'connection;
                        }
                        from = if to + 1 == bounds.len() { to } else { to.saturating_sub(back as usize).max(from + 1) };
                    }
                }
                apply(&mut transcript, event);
            }
        }
        prop_assert!(transcript.faults.is_none(), "{:?}", transcript.faults);
        for (n, text) in texts.iter().enumerate() {
            let proof = transcript.answer(&format!("q{n}"));
            prop_assert!(proof.is_some_and(|proof| proof.holds(text)));
        }
    }
}
