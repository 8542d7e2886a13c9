//! Tokens that must not be taken, of every kind of key: what signs them, what their heads say, what they claim. Each is
//! answered in the same way, asks nobody for anything, and nobody else notices.

use std::net::TcpListener;

use super::*;

const ISSUER: &str = "https://login.example/";
/// The last second of the year 9999.
const FAR: u64 = 253_402_300_799;

/// `value` with some of it changed.
fn with(value: &Value, changes: Value) -> Value {
    let mut value = value.clone();
    value.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    value
}

fn good() -> Value {
    json!({"sub": "ann", "exp": now() + 600, "iat": now(), "iss": ISSUER, "aud": ["other", "chat"]})
}

/// Signed as it stands.
fn sealed(maker: &Maker, header: &str, claims: &str) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    format!("{message}.{}", maker.sign(&message))
}

/// Whose signature is another one's, no signature, or over something else.
fn badly_signed(maker: &Maker, kid: &str, other: &str) -> Vec<String> {
    let good = good();
    let (token, plain, stranger) = (maker.token(&maker.header(kid), &good), good.to_string(), Maker::ec());
    let (message, signature) = token.rsplit_once('.').unwrap();
    let (header, body) = message.split_once('.').unwrap();
    let zeros = URL_SAFE_NO_PAD.encode(vec![0; URL_SAFE_NO_PAD.decode(signature).unwrap().len()]);
    let hs256 = json!({"alg": "HS256", "kid": kid}).to_string();
    let root = URL_SAFE_NO_PAD.encode(with(&good, json!({"sub": "root"})).to_string());
    vec![
        forge(r#"{"alg":"HS256"}"#, &plain, &maker.public_pem()),
        forge(&hs256, &plain, &maker.public_pem()),
        forge(&hs256, &plain, &maker.jwk(kid).to_string()),
        forge(&hs256, &plain, SECRET),
        forge(&maker.header(kid).to_string(), &plain, SECRET),
        format!("{}.{body}.", URL_SAFE_NO_PAD.encode(json!({"alg": "none", "kid": kid}).to_string())),
        format!("{message}.{zeros}"),
        format!("{message}."),
        message.to_owned(),
        format!("{message}.{signature}="),
        format!("{message}.{signature}x"),
        format!("{message}.{signature}.{signature}"),
        format!("{header}.{body}.{body}.{body}.{signature}"),
        format!("{header}=.{body}.{signature}"),
        format!("{header}.{root}.{signature}"),
        stranger.token(&stranger.header(kid), &good),
        maker.token(&maker.header(other), &good),
    ]
}

/// Whose head says what it must not, or brings a key along.
fn badly_headed(maker: &Maker, kid: &str, elsewhere: &str) -> Vec<String> {
    let (good, stranger) = (good(), Maker::ec());
    let mut bad: Vec<_> = [json!({"jwk": stranger.jwk(kid)}), json!({"jku": elsewhere, "x5u": elsewhere})]
        .into_iter()
        .map(|brought| stranger.token(&with(&stranger.header(kid), brought), &good))
        .collect();
    for changes in [
        json!({"alg": "RS512"}),
        json!({"alg": "HS256"}),
        json!({"alg": null}),
        json!({"crit": ["exp"]}),
        json!({"b64": false, "crit": ["b64"]}),
        json!({"zip": "DEF"}),
        json!({"enc": "A128GCM"}),
        json!({"cty": "JWT"}),
        json!({"typ": "dpop+jwt"}),
        json!({"kid": 7}),
        json!({"kid": "k".repeat(10 << 10)}),
    ] {
        bad.push(maker.token(&with(&maker.header(kid), changes), &good));
    }
    let twice = maker.header(kid).to_string().replacen('{', r#"{"alg":"none","#, 1);
    bad.extend([twice.as_str(), "alg", "", "[]"].map(|header| sealed(maker, header, &good.to_string())));
    bad
}

/// Whose claims are over, early, for others, or no claims.
fn badly_claimed(maker: &Maker, kid: &str) -> Vec<String> {
    let (header, good) = (maker.header(kid), good());
    let mut bad = Vec::new();
    for changes in [
        json!({"exp": now() - 10}),
        json!({"exp": (now() + 600).to_string()}),
        json!({"exp": now() as f64 + 600.5}),
        json!({"exp": null}),
        json!({"exp": FAR, "iat": null}),
        json!({"nbf": now() + 60}),
        json!({"iat": now() + 60}),
        json!({"iat": now() - 400 * 24 * 3600}),
        json!({"aud": []}),
        json!({"aud": ["other"]}),
        json!({"iss": ISSUER.trim_end_matches('/')}),
        json!({"iss": [ISSUER]}),
        json!({"sub": ""}),
        json!({"sub": "a\nb"}),
        json!({"sub": "x".repeat(10 << 10)}),
        json!({"tenant": "../north"}),
        json!({"fat": "x".repeat(8 << 10)}),
    ] {
        bad.push(maker.token(&header, &with(&good, changes)));
    }
    let (header, plain) = (header.to_string(), good.to_string());
    for claims in [
        plain.replacen('{', r#"{"sub":"root","#, 1),
        plain.replacen('{', r#"{"exp":1e400,"#, 1),
        plain.replacen("\"exp\"", "\"exp\":1e400,\"x\"", 1),
        plain.replacen("\"iat\"", "\"exp\"", 1),
        format!("{plain} {plain}"),
        "[".repeat(2000),
        "{}".to_owned(),
    ] {
        bad.push(sealed(maker, &header, &claims));
    }
    bad
}

/// Tokens of keys that a set has and that must be left out of it, and those keys.
fn of_unfit_keys(rsa: &Maker) -> (Vec<String>, Vec<Value>) {
    let (twice, twin, good) = (Maker::ec(), Maker::ec(), good());
    let mut weak = rsa.jwk("weak");
    weak["n"] = weak["n"].as_str().unwrap()[..86].into(); // 512 bits.
    let secret = json!({"kty": "oct", "kid": "oct", "alg": "HS256", "k": URL_SAFE_NO_PAD.encode("known to all")});
    let encrypting = with(&rsa.jwk("enc"), json!({"use": "enc"}));
    let tokens = vec![
        rsa.token(&rsa.header("weak"), &good),
        rsa.token(&rsa.header("enc"), &good),
        twice.token(&twice.header("t"), &good),
        twin.token(&twin.header("t"), &good),
        forge(r#"{"alg":"HS256","kid":"oct"}"#, &good.to_string(), "known to all"),
    ];
    (tokens, vec![weak, secret, encrypting, twice.jwk("t"), twin.jwk("t")])
}

#[tokio::test]
async fn nothing_else_is_taken_for_a_token_and_nobody_is_asked_for_keys() {
    let [rsa, ec, ed] = Maker::all();
    let spy = TcpListener::bind("127.0.0.1:0").unwrap();
    spy.set_nonblocking(true).unwrap();
    let elsewhere = format!("http://{}/keys", spy.local_addr().unwrap());
    let (mut bad, mut set) = of_unfit_keys(&rsa);
    set.extend([rsa.jwk("r"), ec.jwk("e"), ed.jwk("d")]);
    let server = KeyServer::of(set).await;
    let gateway = setup()
        .set("RIVULET_AUTH_JWKS_URL", &server.url)
        .set("RIVULET_AUTH_ISSUER", ISSUER)
        .set("RIVULET_AUTH_AUDIENCE", "chat")
        .start()
        .await;
    let client = reqwest::Client::new();
    let ask =
        async |token: &str| TestGateway::answer(client.get(gateway.url("/api/v1/sessions")).bearer_auth(token)).await;
    let year_9999 = ed.token(&ed.header("d"), &with(&good(), json!({"exp": FAR})));
    assert_eq!(ask(&year_9999).await.0, 200, "for a year");
    let mut neighbour = Client::connect_as(&gateway.socket(""), &year_9999).await;
    for (maker, kid, other) in [(&rsa, "r", "e"), (&ec, "e", "d"), (&ed, "d", "r")] {
        let token = maker.token(&maker.header(kid), &good());
        assert_eq!(ask(&token).await.0, 200, "the others fail for their reasons only");
        bad.extend(badly_signed(maker, kid, other));
        bad.extend(badly_headed(maker, kid, &elsewhere));
        bad.extend(badly_claimed(maker, kid));
    }
    let (asked, mut answers) = (server.hits(), Vec::new());
    for token in &bad {
        let (status, mut problem) = ask(token).await;
        problem.as_object_mut().unwrap().remove("request_id");
        assert_eq!(status, 401, "{token}");
        answers.push(problem);
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "one answer for all");
    // Keys that were left out may be good ones tomorrow: that was asked once.
    assert!(server.hits() <= asked + 1, "{}", server.hits());
    assert!(spy.accept().is_err(), "nobody asks the addresses in a token");
    assert_eq!(neighbour.ask("Anything new?").await.status(), "complete");
    let log = gateway.log();
    assert!(bad.iter().all(|token| token.len() < 5 || !log.contains(token.as_str())), "no token in the log:\n{log}");
    let (_, health) = gateway.get("/health").await;
    assert_eq!(health["components"]["keys"], json!({"state": "ready", "known": 3}));
}
