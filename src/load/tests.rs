use gateway::{ANSWER, Gateway, Lie};
use tokio_util::sync::CancellationToken;

use super::*;

mod gateway;

fn plan(gateway: &Gateway) -> Plan {
    Plan {
        endpoints: vec![Endpoint::parse(&gateway.url()).expect("an address")],
        sessions: 4,
        messages: 2,
        ramp: Duration::from_millis(10),
        cut: 0.0,
        text: "What do I need?".to_owned(),
        expect: None,
        timeout: Duration::from_secs(20),
        seed: 7,
        history: None,
        stop: CancellationToken::new(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_honest_gateway_has_no_faults() {
    let gateway = Gateway::start(Lie::None).await;
    let report = run(Plan { sessions: 30, messages: 3, ..plan(&gateway) }).await.expect("ran");
    assert!(report.faults.is_none(), "{report}");
    assert_eq!((report.sessions, report.sent, report.answered, report.reconnects), (30, 90, 90, 0));
    assert_eq!(report.runs.get("complete"), Some(&90));
    assert!(report.deltas > 90 && report.ttft.count == 90, "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cut_sockets_are_resumed_and_nothing_is_lost() {
    let gateway = Gateway::start(Lie::None).await;
    let report = run(Plan { sessions: 20, messages: 3, cut: 0.3, ..plan(&gateway) }).await.expect("ran");
    assert!(report.faults.is_none(), "{report}");
    assert_eq!((report.answered, report.runs.get("complete")), (60, Some(&60)));
    assert!(report.cuts >= 60 && report.reconnects >= report.cuts, "{report}");
}

/// Where no text comes there are two places left to cut at: after the welcome and after the question.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_are_cut_before_any_text_came() {
    let gateway = Gateway::start(Lie::SaysNothing).await;
    let plan = Plan { cut: 0.5, messages: 1, timeout: Duration::from_secs(1), ..plan(&gateway) };
    let report = run(plan).await.expect("ran");
    assert!(report.cuts > 0 && report.deltas == 0 && report.sent == 4, "{report}");
    assert_eq!(report.faults.lost, 4, "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledgement_that_got_lost_is_made_up_for_by_sending_again() {
    let gateway = Gateway::start(Lie::CutsInsteadOfAck).await;
    let report = run(plan(&gateway)).await.expect("ran");
    assert!(report.faults.is_none(), "{report}");
    assert_eq!((report.answered, report.cuts), (8, 0));
    assert!(report.reconnects >= 8, "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn skipped_text_is_asked_for() {
    let gateway = Gateway::start(Lie::SkipsText).await;
    let report = run(plan(&gateway)).await.expect("ran");
    assert!(report.faults.is_none() && report.answered == 8 && report.syncs >= 8, "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_complete_answer_is_compared_with_the_expected_text() {
    let gateway = Gateway::start(Lie::None).await;
    for (expect, altered) in [(ANSWER.to_owned(), 0), (format!("{ANSWER}\n"), 0), (format!("{ANSWER}!"), 8)] {
        let report = run(Plan { expect: Some(expect), ..plan(&gateway) }).await.expect("ran");
        assert_eq!(report.faults, Faults { altered, ..Faults::default() }, "{report}");
        assert_eq!(report.answered, 8);
    }
}

/// Every lie of a gateway is found out, and under its own name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lies_are_found() {
    for (lie, count) in [
        (Lie::AltersText, (|faults| faults.altered) as fn(&Faults) -> u64),
        (Lie::StoresOtherText, |faults| faults.altered),
        (Lie::StoresTwice, |faults| faults.duplicated),
        (Lie::RunsTwice, |faults| faults.duplicated),
        (Lie::ForgetsMessages, |faults| faults.lost),
        (Lie::NeverEnds, |faults| faults.lost),
        (Lie::Refuses, |faults| faults.errors),
        (Lie::SkipsEvents, |faults| faults.disordered),
        (Lie::Interrupts, |faults| faults.errors),
        (Lie::MiscountsMessages, |faults| faults.errors),
        (Lie::PagesForEver, |faults| faults.duplicated),
    ] {
        let gateway = Gateway::start(lie).await;
        let timeout = if lie == Lie::NeverEnds { Duration::from_millis(300) } else { Duration::from_secs(20) };
        // Two pages where the lie is on the second one.
        let messages = if lie == Lie::StoresOtherText { 2 } else { 1 };
        let report = run(Plan { timeout, messages, ..plan(&gateway) }).await.expect("ran");
        assert!(count(&report.faults) >= 4, "{lie:?} was not found in each session: {report}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_is_written_and_judged() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    for (lie, violation) in [
        (Lie::None, None),
        (Lie::ForgetsMessages, Some(Violation::Lost)),
        (Lie::StoresTwice, Some(Violation::Duplicated)),
    ] {
        let gateway = Gateway::start(lie).await;
        let plan = Plan { cut: 0.2, history: Some(file.path().to_owned()), ..plan(&gateway) };
        let report = run(plan.clone()).await.expect("ran");
        assert_eq!(report.answered, 8, "{report}");
        let history = std::fs::read_to_string(file.path()).expect("readable");
        let verdict = verify(&plan.endpoints, &history).await.expect("judged");
        assert_eq!(verdict.is_clean(), violation.is_none(), "{lie:?}: {verdict}");
        assert!(violation.is_none_or(|violation| verdict.violations.contains_key(&violation)), "{lie:?}: {verdict}");
        assert_eq!((verdict.sessions, verdict.sent, verdict.proven), (4, 8, 8), "{verdict}");
        assert!(verdict.acked <= 8 && verdict.connections_lost == report.cuts, "{verdict}");
    }
    let nowhere = Plan { history: Some("/no/such/file".into()), ..plan(&Gateway::start(Lie::None).await) };
    assert!(matches!(run(nowhere).await, Err(LoadError::History { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_told_to_stop_asks_no_more() {
    let gateway = Gateway::start(Lie::None).await;
    let plan = Plan { messages: 10_000, ..plan(&gateway) };
    let stop = plan.stop.clone();
    let (report, ()) = tokio::join!(run(plan), async {
        sleep_until(Instant::now() + Duration::from_millis(100)).await;
        stop.cancel();
    });
    let report = report.expect("ran");
    assert!(report.faults.is_none() && report.sent < 40_000, "{report}");
    assert_eq!(report.sent, report.answered);
}

#[tokio::test]
async fn a_gateway_that_is_not_there_is_a_loss_and_not_a_crash() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let endpoints = vec![Endpoint::parse(&format!("ws://{closed}")).expect("an address")];
    let gateway = Gateway::start(Lie::None).await;
    let plan = Plan { endpoints, timeout: Duration::from_millis(200), ..plan(&gateway) };
    let report = run(plan.clone()).await.expect("ran");
    assert_eq!((report.faults.lost, report.answered, report.sent), (4, 0, 0), "{report}");
    let endpoints = vec![Endpoint::parse("ws://host.invalid:1").expect("an address")];
    assert!(matches!(run(Plan { endpoints, ..plan }).await, Err(LoadError::Host { .. })));
}
