//! Panics, each of which is a bug: a line in the log, in the log's own form, and counted. By itself the language writes them
//! around the log, with a message that may be made of anything, a client's words too. Uses `metrics`.

use std::{
    any::Any,
    backtrace::{Backtrace, BacktraceStatus},
    panic,
};

use tracing::error;

use super::metrics::PANICS;

/// From now on panics of this process are told like this. Call it when there is a log.
pub fn tell() {
    panic::set_hook(Box::new(|panicked| {
        metrics::counter!(PANICS).increment(1);
        let place = panicked.location().map(ToString::to_string).unwrap_or_default();
        let backtrace = Backtrace::capture();
        let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
        let what = fixed(panicked.payload());
        error!(place, what, backtrace, "a panic, which is a bug");
    }));
}

/// What is said of it, where that is a text of the program. Others are made of values.
fn fixed(payload: &dyn Any) -> Option<&'static str> {
    payload.downcast_ref::<&'static str>().copied()
}

#[cfg(test)]
mod tests {
    use std::{env, process::Command, thread};

    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    /// What panics is a process of its own: the other tests' panics are told as ever.
    const CHILD: &str = "RIVULET_TEST_PANICS";

    #[test]
    fn a_panic_is_a_line_without_the_words_of_others_and_is_counted() {
        if env::var_os(CHILD).is_some() {
            return panics();
        }
        let own = "telemetry::panics::tests::a_panic_is_a_line_without_the_words_of_others_and_is_counted";
        let mut child = Command::new(env::current_exe().unwrap());
        let child = child.args(["--exact", own, "--nocapture"]).env(CHILD, "1").env_remove("RUST_BACKTRACE");
        let told = child.output().unwrap();
        assert!(told.status.success(), "{told:?}");
        let lines = String::from_utf8(told.stderr).unwrap();
        let lines: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2, "{lines:?}");
        for (line, message) in lines.iter().zip([None, Some("a fixed text")]) {
            let fields = &line["fields"];
            assert_eq!((fields["what"].as_str(), &line["level"]), (message, &"ERROR".into()), "{line}");
            assert!(fields["place"].as_str().is_some_and(|place| place.contains("panics.rs:")), "{line}");
            assert!(!line.to_string().contains("canary"), "{line}");
        }
    }

    fn panics() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let counted = recorder.handle();
        metrics::set_global_recorder(recorder).unwrap();
        tracing_subscriber::fmt().json().with_writer(std::io::stderr).init();
        tell();
        let words = "canary é".to_owned();
        thread::spawn(move || words[..8].len()).join().unwrap_err();
        thread::spawn(|| panic!("a fixed text")).join().unwrap_err();
        assert!(counted.render().contains("panics_total 2\n"), "{}", counted.render());
    }
}
