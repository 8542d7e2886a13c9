//! Marks in all places, and what is left to be seen.

use proptest::prelude::*;

use super::*;

/// What is left to be seen, and whether something was withdrawn.
fn run<'a>(assumed: bool, pieces: impl IntoIterator<Item = &'a str>) -> (String, bool) {
    let mut think = Think::new(assumed);
    let (mut said, mut withdrawn) = (String::new(), false);
    let mut take = |thought: Thought, said: &mut String| {
        if thought.withdrawn {
            said.clear();
            withdrawn = true;
        }
        said.push_str(&thought.text);
    };
    for piece in pieces {
        let thought = think.push(piece.to_owned(), &said);
        take(thought, &mut said);
    }
    let thought = think.finish(&said, true);
    take(thought, &mut said);
    (said, withdrawn)
}

fn text(said: &str) -> String {
    run(false, [said]).0
}

#[test]
fn reasoning_at_the_beginning_goes_and_all_else_stays() {
    for (said, answer) in [
        ("<think>hm</think>Yes.", "Yes."),
        ("\n<think>\na < b </thin </think>\n\n Yes. <think>no</think>", "Yes. <think>no</think>"),
        ("<Thinking>hm</thinking >Yes.", "Yes."),
        ("[THINK]hm[/THINK]Yes.", "Yes."),
        ("<think>a</think>\n<think>b</think>Yes.", "Yes."),
        ("<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>Yes.", "Yes."),
        ("<think></think>", ""),
        ("<think>never closed", ""),
        ("<think>closed by another</reasoning>", ""),
        ("  <b>Yes.", "  <b>Yes."),
        ("The tag <think> is", "The tag <think> is"),
        ("<thi", "<thi"),
        ("<", "<"),
        ("a [1] b [", "a [1] b ["),
        (" \n", ""),
        ("", ""),
    ] {
        assert_eq!(text(said), answer, "{said:?}");
    }
    let blank = " ".repeat(MAX_BLANK_BYTES + 1);
    assert_eq!(run(false, [blank.as_str(), "<think>"]).0, format!("{blank}<think>"), "no more is held back");
}

#[test]
fn reasoning_that_is_only_closed_is_withdrawn() {
    for said in
        ["Okay, hello.\n</think>\n\nHi", "hm</think>Hi", "hm</ think>Hi", "a\n</think>\nb\n</think>\nHi", "</think>Hi"]
    {
        assert_eq!(text(said), "Hi", "{said:?}");
        assert_eq!(run(true, [said]), ("Hi".to_owned(), said.matches("think").count() > 1), "{said:?}");
    }
    let (said, withdrawn) = run(false, ["Okay, the user says ", "hello.\n</th", "ink>\n\n", "Hello!"]);
    assert_eq!((said.as_str(), withdrawn), ("Hello!", true));
    assert_eq!(run(true, ["Hello", " there"]).0, "Hello there", "nothing closed it: it was an answer");
}

#[test]
fn a_mark_that_is_talked_about_stays() {
    for said in [
        "Use `</think>` to close it.",
        "```\n</think>\n```",
        "The mark </think> ends it.",
        "It ends with \"</think>\".",
        "Between <think> and </think>\nit reasons.",
        "</reasoning>",
    ] {
        assert_eq!(text(said), said, "{said:?}");
    }
}

#[test]
fn little_is_held_back() {
    let mut think = Think::new(false);
    assert_eq!(think.push("<think>".to_owned(), "").text, "");
    for _ in 0..1000 {
        let thought = think.push("hm, 😀 </thin".to_owned(), "");
        assert_eq!(thought.text, "");
        assert!(think.is_open() && think.held.len() < 12);
    }
    let mut think = Think::new(false);
    for _ in 0..1000 {
        assert_eq!(think.push("yes <".to_owned(), "").text.trim_start_matches('<'), "yes ");
    }
}

proptest! {
    #[test]
    fn the_cuts_make_no_difference(
        parts in proptest::collection::vec(prop_oneof![
            Just(" \n"), Just("<think>"), Just("</think>"), Just("<th"), Just("</"), Just("ink>"), Just("😀"), Just("a"),
            Just("`"), Just("\n```\n"), Just("["), Just("[/THINK]"), Just("◁/think▷"), Just("\""), Just("</reasoning>"),
        ], 0..10),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
        assumed: bool,
    ) {
        let said = parts.concat();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| said.floor_char_boundary(cut.index(said.len() + 1))).collect();
        cuts.extend([0, said.len()]);
        cuts.sort_unstable();
        let whole = run(assumed, [said.as_str()]).0;
        prop_assert_eq!(&run(assumed, cuts.windows(2).map(|cut| &said[cut[0]..cut[1]])).0, &whole);
        let characters: Vec<String> = said.chars().map(String::from).collect();
        prop_assert_eq!(&run(assumed, characters.iter().map(String::as_str)).0, &whole);
        prop_assert!(said.ends_with(&whole));
        prop_assert_eq!(Think::visible(&said), run(false, [said.as_str()]).0);
    }
}
