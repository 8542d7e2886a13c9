//! What a copy is told may be anything, whoever said it: the copy may refuse it and does not fail, and whoever reads there
//! comes to an end.

use proptest::{collection::vec, prelude::*};
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use serde_json::{Value, json};

use super::*;

/// More than any of these logs has.
const STEPS: usize = 5000;

/// The places in a value, as JSON pointers.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, item)| places(item, &format!("{at}/{n}"), found));
        }
        Value::Object(fields) => fields.iter().for_each(|(name, field)| places(field, &format!("{at}/{name}"), found)),
        _ => {}
    }
}

/// Has something else somewhere in a value.
fn alter(value: &mut Value, random: &mut SmallRng) {
    let mut found = Vec::new();
    places(value, "", &mut found);
    let place = value.pointer_mut(&found[random.random_range(0..found.len())]).unwrap();
    let choice = random.random_range(0..6);
    match place {
        Value::Number(number) => {
            let number = number.as_u64().unwrap_or_default();
            let others = [0, number.saturating_sub(1), number.saturating_add(1), 7, u64::from(u32::MAX), u64::MAX];
            *place = others[choice].into();
        }
        Value::String(text) => {
            let others = ["", "😀", "e7", "r_x", &text[..text.floor_char_boundary(text.len() / 2)], &text.repeat(3)];
            *place = others[choice].into();
        }
        Value::Array(items) if !items.is_empty() => {
            let (n, m) = (random.random_range(0..items.len()), random.random_range(0..items.len()));
            match choice {
                0 => items.clear(),
                1 | 2 => drop(items.remove(n)),
                3 => items.push(items[n].clone()),
                _ => items.swap(n, m),
            }
        }
        Value::Bool(is) => *is = !*is,
        other => *other = [json!(null), json!(1), json!("q"), json!([]), json!({}), json!(true)][choice].clone(),
    }
}

/// Reads on, so many steps at most; whether that was to the end.
fn reads(log: &Log, cursor: &mut Cursor, most: usize) -> bool {
    for _ in 0..most {
        match log.next(cursor, 5) {
            Step::UpToDate => return log.is_up_to_date(cursor),
            Step::Trimmed => *cursor = log.snapshot().1,
            _ => {}
        }
    }
    false
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn whatever_a_copy_is_told_its_readers_come_to_an_end(ops in vec((op(), any::<u64>(), 0..3usize), 1..100)) {
        let mut session = Session::new();
        let (mut copy, mut copied, mut readers) = (Log::empty_copy(50), Copied::default(), Vec::new());
        for (op, seed, times) in ops {
            let mut random = SmallRng::seed_from_u64(seed);
            match op {
                Op::Connect(_) => readers.push(copy.attach(None).cursor),
                Op::Resume(..) => {
                    let at = readers.first().map(|cursor| copy.cursor_text(cursor)).unwrap_or_default();
                    readers.push(copy.attach(Some(&at)).cursor);
                }
                Op::Foreign(_, at) => readers.push(copy.attach(Some(&at)).cursor),
                Op::Cut(_) => drop(readers.pop()),
                Op::Read(_, steps, _) => {
                    for cursor in &mut readers {
                        let _or_to_the_end = reads(&copy, cursor, steps);
                    }
                }
                Op::Sync(_, off) => {
                    let run = copy.progress().map(|progress| progress.run);
                    for (cursor, run) in readers.iter_mut().zip(&run) {
                        copy.seek(cursor, run, off);
                    }
                }
                writing => apply(&mut session, &mut [], &writing),
            }
            let mut told = Vec::new();
            session.log.tell_copy(&mut copied, 7, session.now, |change| {
                told.push(change);
                true
            });
            for change in told {
                let mut said = serde_json::to_value(&change).unwrap();
                (0..times).for_each(|_| alter(&mut said, &mut random));
                let Ok(change) = serde_json::from_value::<Change>(said) else { continue };
                let was_whole = matches!(change, Change::Whole(_));
                match copy.repeat(change, session.now) {
                    Ok(()) => {}
                    // Who reads there comes back to another one.
                    Err(OutOfStep) if was_whole => {
                        (copy, copied) = (Log::empty_copy(50), Copied::default());
                        readers.clear();
                    }
                    Err(OutOfStep) => copied = Copied::default(),
                }
            }
            if random.random_bool(0.3) {
                copy.trim(session.now);
            }
        }
        for cursor in &mut readers {
            prop_assert!(reads(&copy, cursor, STEPS), "{cursor:?}");
            let at = copy.cursor_text(cursor);
            prop_assert!(!copy.is_behind(&at));
        }
        let carried: Whole = serde_json::from_value(serde_json::to_value(copy.whole(session.now)).unwrap()).unwrap();
        if let Ok(moved) = Log::of_whole(carried, 50, session.now) {
            prop_assert!(reads(&moved, &mut moved.attach(None).cursor, STEPS));
        }
    }
}
