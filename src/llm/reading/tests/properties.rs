//! What holds for any stream.

use super::*;

/// A piece of a stream that is not perfect.
fn piece() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just("data: {\"choices\":[{\"delta\":{\"content\":\"<think>\"}}]}\n\n"),
        Just("data: {\"choices\":[{\"delta\":{\"content\":\"</think> é\"}}]}\r\n\r\n"),
        Just("data: {\"choices\":[{\"delta\":{\"content\":\"<\"}}]}\n\n"),
        Just("data: {\"choices\":[{\"delta\":{\"content\":60}}]}\n\n"),
        Just("data: {\"choices\":[{\"delta\":{\"content\":\"a\\ud83d\"}}]}\n\n"),
        Just("data: {\"choices\":[{\"delta\":{\"content\":\"\\ude00b\"},\"finish_reason\":\"stop\"}]}\n\n"),
        Just("data: {\"choices\":[{\"message\":{\"content\":\"a\"}}]}\n\n"),
        Just("data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"c\"}}]}\n\n"),
        Just("data: {\"choices\":[{\"delta\":{\"reasoning\":\"hm\"}}]}\n\n"),
        Just(
            "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"id\":\"a\",\"function\":{\"name\":\"calc\",\"arguments\":\"{\"}}]}}]}\n\n"
        ),
        Just("data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"function\":{\"arguments\":\"}\"}}]}}]}\n\n"),
        Just("data: {\"choices\":[{\"message\":{\"function_call\":{\"name\":\"time\",\"arguments\":{}}}}]}\n\n"),
        Just("data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"),
        Just("data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n"),
        Just("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"x: ping\n\ny\":1}\n\n"),
        Just("data: {]\n\n"),
        Just(": ping\n\n"),
        Just("error: no\n\n"),
        Just("data: [DONE]"),
        Just("\n"),
        Just("{"),
        Just("<"),
    ]
}

/// What costs nothing, wherever it comes.
fn ping() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just(": ping\n\n"),
        Just("data: ping\n\n"),
        Just("data: : ping\n\n"),
        Just("event: ping\ndata: {\"type\":\"ping\"}\n\n"),
        Just("data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":NaN}]}\n\n"),
        Just(
            "data: {\"choices\":[{\"delta\":{\"content\":null,\"x\":[1,],\"x\":'y'}}],\"usage\":{\"prompt_tokens\":0}}\n\n"
        ),
        Just("data:\n\n"),
        Just("x: y\n\n"),
    ]
}

/// A text in pieces, each as some server would write it in a chunk; cut between the units of UTF-16.
fn written() -> impl Strategy<Value = (String, Vec<String>)> {
    let piece = prop_oneof![
        4 => "[a-zA-Z .,é\u{fffd}😀𝄞\\\\\"\n]{1,8}".prop_map(|text| (text.clone(), text)),
        1 => any::<u32>().prop_map(|number| (number.to_string(), String::new())),
        1 => (-1e9f64..1e9).prop_map(|number| (format!("{number:?}"), String::new())),
    ];
    (prop::collection::vec(piece, 1..12), prop::collection::vec(any::<prop::sample::Index>(), 12)).prop_map(
        |(pieces, cuts)| {
            // White space before the first word does not count, and so does a number not begin with it.
            let text: String = std::iter::once("I").chain(pieces.iter().map(|(text, _)| text.as_str())).collect();
            let mut contents = vec!["\"I\"".to_owned()];
            for ((text, quoted), cut) in pieces.iter().zip(cuts) {
                if quoted.is_empty() {
                    contents.push(text.clone());
                    continue;
                }
                let units: Vec<u16> = text.encode_utf16().collect();
                let at = cut.index(units.len() + 1);
                for half in [&units[..at], &units[at..]] {
                    let escaped: String = char::decode_utf16(half.iter().copied())
                        .map(|unit| match unit {
                            Ok(c) if c.is_ascii_alphanumeric() || c == 'é' => c.to_string(),
                            Ok(c) => c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
                            Err(lone) => format!("\\u{:04x}", lone.unpaired_surrogate()),
                        })
                        .collect();
                    contents.push(format!("\"{escaped}\""));
                }
            }
            (text, contents)
        },
    )
}

fn chunk(content: &str) -> String {
    format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":{content}}}}}]}}\n\n")
}

fn cut<'a>(body: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).collect();
    cuts.extend([0, body.len()]);
    cuts.sort_unstable();
    cuts.windows(2).map(|cut| &body[cut[0]..cut[1]]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever comes and however it is cut: the same text, the same end.
    #[test]
    fn the_cuts_make_no_difference(pieces in prop::collection::vec(piece(), 0..12), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8)) {
        let body = pieces.concat().into_bytes();
        let whole = run([body.as_slice()]);
        prop_assert_eq!(&run(cut(&body, &cuts)), &whole);
        prop_assert_eq!(&run(body.chunks(1)), &whole);
        let offered = || Reading::new(1 << 20, 1 << 10, false).offering(super::calls::offer(&["calc"]));
        let whole = run_with(offered(), [body.as_slice()]);
        prop_assert_eq!(&run_with(offered(), cut(&body, &cuts)), &whole);
        prop_assert_eq!(&run_with(offered(), body.chunks(1)), &whole);
    }

    /// Nothing is lost or doubled, whatever is written between the pieces and however these are written.
    #[test]
    fn a_text_arrives_once_however_it_is_written(
        (text, contents) in written(), pings in prop::collection::vec((ping(), any::<prop::sample::Index>()), 0..10),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8), stops_always: bool,
    ) {
        let mut events: Vec<String> = contents.iter().map(|content| chunk(content)).collect();
        if stops_always {
            events.iter_mut().for_each(|event| *event = event.replace("}}]}", "},\"finish_reason\":\"stop\"}]}"));
        }
        for (ping, at) in pings {
            let at = at.index(events.len() + 1);
            events.insert(at, ping.to_owned());
        }
        let body = events.concat() + "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
        let told = run(cut(body.as_bytes(), &cuts));
        prop_assert_eq!((told.text.as_str(), &told.end, told.bad), (text.as_str(), &STOP, 0));
    }

    /// What is torn is noticed, or put together again as it was.
    #[test]
    fn what_is_torn_is_never_told_as_whole(
        (text, contents) in written(), which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), how in 0..3,
    ) {
        let mut events: Vec<String> = contents.iter().map(|content| chunk(content)).collect();
        let event = &mut events[which.index(contents.len())];
        let (begun, ends) = ("data: {".len(), event.len() - "\n\n".len());
        let at = event.floor_char_boundary(begun + at.index(ends - begun));
        // A line that begins with a colon is a comment.
        prop_assume!(how != 1 || !event[at..].starts_with(':'));
        *event = match how {
            0 => format!("{}\n\n", &event[..at]),
            1 => event[at..].to_owned(),
            _ => format!("{}: ping\n\n{}", &event[..at], &event[at..]),
        };
        let told = run([(events.concat() + "data: [DONE]\n\n").as_bytes()]);
        prop_assert!(told.end != STOP || told.text == text, "{told:?}");
        prop_assert!(text.starts_with(&told.text), "a beginning: {told:?}");
    }

    /// No event, however it is made up, makes more text than it may or panics.
    #[test]
    fn any_json_is_survived(content in any::<Option<String>>(), reason in any::<Option<String>>(), number in any::<f64>(), limit in 0_usize..64) {
        let event = json!({"choices":[{"index":0,"delta":{"content":content,"reasoning":number},"finish_reason":reason}],
            "usage":{"prompt_tokens":number,"completion_tokens":reason}});
        let told = run_with(Reading::new(1 << 20, limit, false), [stream(std::slice::from_ref(&event)).as_bytes()]);
        prop_assert!(told.text.len() <= limit && told.text.len() <= content.map_or(0, |text| text.len()));
        let _ = UpstreamError::from_body(event.to_string().as_bytes());
    }
}

/// How a server writes its calls.
#[derive(Debug, Clone, Copy)]
struct Habits {
    /// Every call has the same index, or none.
    index: Option<bool>,
    repeats_name: bool,
    repeats_id: bool,
    as_object: bool,
    repeats_arguments: bool,
    reason: &'static str,
}

fn habits() -> impl Strategy<Value = Habits> {
    let reason = prop_oneof![Just("tool_calls"), Just("stop"), Just("")];
    (any::<(Option<bool>, bool, bool, bool, bool)>(), reason).prop_map(
        |((index, repeats_name, repeats_id, as_object, repeats_arguments), reason)| Habits {
            index,
            repeats_name,
            repeats_id,
            as_object,
            repeats_arguments,
            reason,
        },
    )
}

/// Calls with arguments of any kind, and where these are cut.
fn calls() -> impl Strategy<Value = Vec<(Call, Vec<prop::sample::Index>)>> {
    let value = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        "[a-z{}\\[\\]\\\\\"é😀<|]{0,8}".prop_map(Value::from),
        Just(json!({"a":[{}, "}"]})),
    ];
    let arguments = prop::collection::btree_map("[a-z\"]{1,4}", value, 0..4);
    let call = (prop::sample::select(vec!["calc", "time"]), arguments)
        .prop_map(|(name, arguments)| Call { name: name.to_owned(), arguments: arguments.into_iter().collect() });
    prop::collection::vec((call, prop::collection::vec(any::<prop::sample::Index>(), 0..5)), 1..5)
}

/// The events in which a server of these habits writes a call.
fn call_events(at: usize, (call, cuts): &(Call, Vec<prop::sample::Index>), habits: Habits) -> Vec<String> {
    let written = call.arguments.to_string();
    let parts: Vec<Value> = match habits.as_object {
        true => vec![call.arguments.clone()],
        false => {
            let mut cuts: Vec<_> =
                cuts.iter().map(|cut| written.floor_char_boundary(cut.index(written.len()))).collect();
            cuts.extend([0, written.len()]);
            cuts.sort_unstable();
            let parts = cuts.windows(2).map(|cut| Value::from(&written[cut[0]..cut[1]]));
            parts.chain(habits.repeats_arguments.then(|| Value::from(written.as_str()))).collect()
        }
    };
    let event = |(part, arguments): (usize, Value)| {
        let mut piece = json!({"function":{"arguments":arguments}});
        if let Some(is_own) = habits.index {
            piece["index"] = if is_own { at.into() } else { 0.into() };
        }
        if part == 0 || habits.repeats_id {
            piece["id"] = format!("call_{at}").into();
        }
        if part == 0 || habits.repeats_name {
            piece["function"]["name"] = call.name.as_str().into();
        }
        stream(&[json!({"choices":[{"index":0,"delta":{"tool_calls":[piece]}}]})])
    };
    parts.into_iter().enumerate().map(event).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// However calls are written, and whatever comes between: each is told once, whole and in order, at the end.
    #[test]
    fn calls_arrive_once_however_they_are_written(
        wanted in calls(), habits in habits(), text in prop::option::of(Just("Let me see.")),
        pings in prop::collection::vec((ping(), any::<prop::sample::Index>()), 0..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let mut events: Vec<String> = text.iter().map(|text| stream(&[said(text)])).collect();
        for (at, call) in wanted.iter().enumerate() {
            events.extend(call_events(at, call, habits));
        }
        for (ping, at) in pings {
            let at = at.index(events.len() + 1);
            events.insert(at, ping.to_owned());
        }
        if !habits.reason.is_empty() {
            events.push(stream(&[finish(habits.reason)]));
        }
        let body = events.concat() + "data: [DONE]\n\n";
        let reading = || Reading::new(1 << 20, 1 << 10, false).offering(super::calls::offer(&["calc", "time"]));
        let told = run_with(reading(), [body.as_bytes()]);
        let calls: Vec<Call> = wanted.into_iter().map(|(call, _)| call).collect();
        prop_assert_eq!(&told.calls, &calls);
        prop_assert_eq!((told.text.as_str(), &told.end, told.bad), (text.unwrap_or_default(), &STOP, 0));
        prop_assert_eq!(&run_with(reading(), cut(body.as_bytes(), &cuts)), &told);
        prop_assert_eq!(&run_with(reading(), body.as_bytes().chunks(1)), &told);
        // Where it breaks off, nothing of them is told.
        let begun = body.floor_char_boundary(body.len() / 2);
        prop_assert!(run_with(reading(), [&body.as_bytes()[..begun]]).calls.is_empty());
    }
}
