//! The faults by their names, as the command line and tests write them. Pure.

use std::{str::FromStr, time::Duration};

use super::{
    deviation,
    fault::{Fault, Quirk, Strict},
    wild,
};

/// The names of all faults. `N` is a number of tokens or words, 5 when not given.
pub const FAULTS: &[&str] = &[
    "none",
    "refuse",
    "stall-headers",
    "slow:MS",
    "stall:N",
    "stall-pinging:N",
    "cut:N",
    "end:N",
    "garbage:N",
    "torn:N",
    "no-done",
    "no-finish",
    "flapping",
    "status:CODE",
    "status:CODE:SECONDS",
    "body:SHAPE",
    "filter",
    "tool-use-failed",
    "tool-use-failed:N",
    "no-stream-options",
    "no-max-tokens",
    "no-max-completion-tokens",
    "no-temperature",
    "no-system",
    "no-prefill",
    "no-blank-prefill",
    "alternate",
    "no-tools",
    "too-long:WORDS",
    "error-event:N",
    "flat-error:N",
    "stray-text:N",
    "error-field:N",
    "event-error:N",
    "groq-error:N",
    "ollama-error:N",
    "openrouter-error:N",
    "tools:N",
    "tools-index-zero",
    "tools-no-index",
    "tools-one-delta",
    "tools-args-object",
    "tools-args-repeat",
    "tools-args-broken",
    "tools-name-garbage",
    "tools-name-every",
    "tools-id-changes",
    "tools-finish-stop",
    "tools-old",
    "tools-loop",
    "tools-length",
    "tools-unknown",
    "finish:REASON",
    "empty-finish",
    "camel-finish",
    "last-token",
    "empty",
    "late-usage",
    "every-usage",
    "silent-end",
    "llama-cpp",
    "bare",
    "reasoning",
    "think",
    "think-close",
    "parts",
    "reasoning-only",
    "empty-stop",
    "json",
    "json-error",
    "unframed",
    "unframed-error",
    "html",
    "json-lines",
    "json-list",
    "plain-type",
    "type:KIND",
    "coding:NAME",
    "gzip",
    "long-line",
    "split-utf8",
    "halves",
    "dirty",
    "lump",
    "pings",
    "cut-by-ping",
    "numbers",
    "dup-keys",
    "odd-json",
    "python",
    "stop-every",
    "stop-first",
    "stop-between",
    "message-last",
    "message-beside",
    "message-other",
    "two-choices",
    "other-choice",
    "azure",
    "zero-usage",
];

/// Why a name is not a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("faults: {}", FAULTS.join(", "))]
pub struct UnknownFault;

impl FromStr for Fault {
    type Err = UnknownFault;

    fn from_str(text: &str) -> Result<Self, UnknownFault> {
        let (name, number) = match text.split_once(':') {
            Some((name, number)) => (name, Some(number)),
            None => (text, None),
        };
        let count = number.map_or(Ok(5), |number| number.parse().map_err(|_| UnknownFault));
        let fault = match name {
            "none" => Ok(Self::None),
            "refuse" => Ok(Self::Refuse),
            "status" => status(number.unwrap_or_default()),
            "body" => deviation::body(number.unwrap_or_default()).ok_or(UnknownFault),
            "finish" => number.map(deviation::finish).ok_or(UnknownFault),
            "type" => wild::labelled(number.unwrap_or_default()).ok_or(UnknownFault),
            "coding" => number.map(wild::coded).ok_or(UnknownFault),
            "too-long" => wild::too_long(number.unwrap_or_default()).ok_or(UnknownFault),
            "flapping" => Ok(Self::Flapping),
            "stall-headers" => Ok(Self::StallHeaders),
            "slow" => {
                let pause = number.and_then(|number| number.parse().ok()).ok_or(UnknownFault)?;
                Ok(Self::Slow(Duration::from_millis(pause)))
            }
            "stall" => count.map(Self::Stall),
            "stall-pinging" => count.map(Self::StallPinging),
            "cut" => count.map(Self::Cut),
            "end" => count.map(Self::End),
            "tool-use-failed" => count.map(|words| Self::ToolUseFailed(number.and(Some(words)))),
            "no-done" => Ok(Self::NoDone),
            "no-finish" => Ok(Self::NoFinish),
            "json" => Ok(Self::Json),
            _ => Err(UnknownFault),
        };
        fault.or_else(|unknown| match (number, count) {
            (_, Ok(count)) if let Some(fault) = deviation::failing(name, count) => Ok(fault),
            (None, _) if let Some(strict) = Strict::named(name) => Ok(Self::Strict(strict)),
            (None, _) if let Some(quirk) = Quirk::named(name) => Ok(Self::Tools(quirk)),
            (None, _) => {
                let deviation = deviation::whole(name).or_else(|| deviation::none(name));
                deviation.or_else(|| wild::stream(name)).ok_or(unknown)
            }
            _ => Err(unknown),
        })
    }
}

/// `CODE`, or `CODE:RETRY_AFTER` in seconds.
fn status(text: &str) -> Result<Fault, UnknownFault> {
    let (code, wait) = match text.split_once(':') {
        Some((code, wait)) => (code, Some(wait)),
        None => (text, None),
    };
    let status = code.parse().ok().filter(|status| (400..600).contains(status)).ok_or(UnknownFault)?;
    let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    if let Some(wait) = wait {
        wait.parse::<u32>().map_err(|_| UnknownFault)?;
        headers.push(("retry-after".to_owned(), wait.to_owned()));
    }
    let body = r#"{"error":{"message":"injected by the mock","type":"mock","code":null}}"#.to_owned();
    Ok(Fault::Status { status, headers, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_name_is_a_fault() {
        for name in FAULTS {
            let values = [
                ("SECONDS", "3"),
                ("REASON", "stop"),
                ("SHAPE", "html"),
                ("CODE", "500"),
                ("MS", "3"),
                ("KIND", "json"),
                ("NAME", "none"),
                ("WORDS", "code"),
                (":N", ":3"),
            ];
            let name = values.iter().fold((*name).to_owned(), |name, (letter, value)| name.replace(letter, value));
            assert!(name.parse::<Fault>().is_ok(), "{name}");
        }
    }

    #[test]
    fn faults_have_names() {
        assert_eq!("stall".parse(), Ok(Fault::Stall(5)));
        assert_eq!("cut:0".parse(), Ok(Fault::Cut(0)));
        assert!(matches!("status:429".parse(), Ok(Fault::Status { status: 429, .. })));
        assert_eq!("flapping".parse(), Ok(Fault::Flapping));
        assert_eq!("tool-use-failed".parse(), Ok(Fault::ToolUseFailed(None)));
        assert_eq!("tool-use-failed:0".parse(), Ok(Fault::ToolUseFailed(Some(0))));
        assert_eq!("tools-loop".parse(), Ok(Fault::Tools(Quirk::Loop)));
        let resting: Fault = "status:429:7".parse().expect("a fault");
        assert!(matches!(&resting, Fault::Status { headers, .. } if headers[1].1 == "7"), "{resting:?}");
        for unknown in [
            "",
            "status",
            "status:429:x",
            "status:99",
            "stall:x",
            "slow",
            "finish",
            "body:x",
            "tools-loop:1",
            "nothing",
        ] {
            assert_eq!(unknown.parse::<Fault>(), Err(UnknownFault), "{unknown}");
        }
    }
}
