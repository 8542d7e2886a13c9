use tokio::task::JoinSet;

use super::*;
use crate::auth::testing::{Answer, KeyServer, Maker};

/// So fast that nobody waits for it, and slow enough that what comes at once comes within it.
const QUICK: Pace = Pace {
    refreshed_every: Duration::from_secs(60),
    repeated_after: Duration::from_secs(60),
    asked_every: Duration::from_secs(60),
    stale_for: Duration::from_secs(60),
    fetch_time: Duration::from_millis(200),
};

struct Kept {
    source: Arc<KeySource>,
    _keeping: JoinSet<()>,
}

/// A set that is kept at this pace, after its first fetch.
async fn kept(url: &str, pace: Pace) -> Kept {
    let source = Arc::new(KeySource { pace, ..KeySource::new(url).unwrap() });
    let mut keeping = JoinSet::new();
    let mut rounds = source.rounds().unwrap();
    let own = source.clone();
    keeping.spawn(async move { own.keep(CancellationToken::new()).await });
    assert!(rounds.ended().await);
    drop(rounds);
    Kept { source, _keeping: keeping }
}

/// Waits for the end of the next fetch.
async fn next(source: &KeySource) {
    let mut rounds = source.rounds().unwrap();
    assert!(timeout(Duration::from_secs(10), rounds.ended()).await.unwrap());
}

#[tokio::test]
async fn many_who_ask_cause_one_fetch_and_another_one_after_a_while() {
    let server = KeyServer::of(vec![Maker::ec().jwk("a")]).await;
    let Kept { source, _keeping } = kept(&server.url, QUICK).await;
    assert_eq!((server.hits(), source.state()), (1, (SourceState::Ready, 1)));
    server.answer(Answer::Keys(vec![Maker::ec().jwk("a"), Maker::ed().jwk("b")]));
    let now = Instant::now();
    let mut rounds = source.rounds().unwrap();
    assert!((0..1000).all(|_| source.ask(now)), "one is under way");
    assert!(rounds.ended().await);
    assert_eq!((server.hits(), source.state()), (2, (SourceState::Ready, 2)));
    assert!((0..1000).all(|_| !source.ask(now + QUICK.asked_every - Duration::from_millis(1))));
    assert!(source.ask(now + QUICK.asked_every));
    assert!(rounds.ended().await);
    assert_eq!(server.hits(), 3);
}

#[tokio::test]
async fn who_comes_when_too_many_wait_does_not() {
    let server = KeyServer::start(Answer::Never).await;
    let source = KeySource::new(&server.url).unwrap();
    let waiting: Vec<_> = (0..MAX_WAITING).map(|_| source.rounds().unwrap()).collect();
    assert!(source.rounds().is_none());
    drop(waiting);
    assert!(source.rounds().is_some());
}

#[tokio::test]
async fn what_cannot_be_a_set_leaves_the_keys_as_they_are() {
    let elsewhere = KeyServer::of(vec![Maker::ec().jwk("evil")]).await;
    let server = KeyServer::of(vec![Maker::ec().jwk("a")]).await;
    let Kept { source, _keeping } = kept(&server.url, Pace { asked_every: Duration::ZERO, ..QUICK }).await;
    let text = |status, text: &str| Answer::Text(status, text.to_owned());
    let many = format!("{{\"keys\":[{}0]}}", "0,".repeat(99_999));
    for (answer, expected) in [
        (text(StatusCode::OK, "<!doctype html><title>Sign in</title>"), SetFault::Form.into()),
        (text(StatusCode::OK, &many), SetFault::TooMany.into()),
        (text(StatusCode::OK, &" ".repeat(MAX_BYTES + 1)), FetchError::TooLarge),
        (text(StatusCode::SERVICE_UNAVAILABLE, "{\"keys\":[]}"), FetchError::Status(StatusCode::SERVICE_UNAVAILABLE)),
        (text(StatusCode::NO_CONTENT, ""), FetchError::Status(StatusCode::NO_CONTENT)),
        (Answer::Elsewhere(elsewhere.url.clone()), FetchError::Status(StatusCode::FOUND)),
        (Answer::Never, FetchError::TooSlow),
    ] {
        server.answer(answer);
        assert_eq!(source.probe().await, Err(expected.clone()));
        assert!(source.ask(Instant::now()));
        next(&source).await;
        assert_eq!(source.state(), (SourceState::Stale, 1), "{expected}");
    }
    assert_eq!(elsewhere.hits(), 0, "redirections are not followed");
    server.answer(Answer::Keys(Vec::new()));
    source.ask(Instant::now());
    next(&source).await;
    assert_eq!(source.state(), (SourceState::Ready, 0), "keys that were taken out are not good any more");
}

#[tokio::test]
async fn keys_that_cannot_be_fetched_again_are_good_for_a_while() {
    let server = KeyServer::of(vec![Maker::ec().jwk("a")]).await;
    let soon = Duration::from_millis(50);
    let pace = Pace { refreshed_every: soon, repeated_after: soon, stale_for: Duration::from_secs(1), ..QUICK };
    let Kept { source, _keeping } = kept(&server.url, pace).await;
    server.answer(Answer::Text(StatusCode::BAD_GATEWAY, String::new()));
    while source.state().0 == SourceState::Ready {
        next(&source).await;
    }
    assert_eq!((source.state(), source.keys().len()), ((SourceState::Stale, 1), 1));
    while source.state().0 == SourceState::Stale {
        next(&source).await;
    }
    assert_eq!((source.state(), source.keys().len()), ((SourceState::Missing, 0), 0), "and then they are not");
    server.answer(Answer::Keys(vec![Maker::ed().jwk("b")]));
    while source.state().0 == SourceState::Missing {
        next(&source).await;
    }
    assert_eq!(source.state(), (SourceState::Ready, 1), "it comes back by itself");
}

#[tokio::test]
async fn addresses_are_not_shown() {
    let source = KeySource::new("http://127.0.0.1:9/keys?secret=hunter2").unwrap();
    let error = source.probe().await.unwrap_err();
    assert!(matches!(error, FetchError::NoAnswer(_)) && !error.to_string().contains("hunter2"), "{error}");
}
