//! Tokens that must not be taken, of every kind of key: what signs them, what their heads say, what they claim. All are
//! answered in the same way, wherever they come in, ask nobody for anything, and the neighbour does not notice.

use std::net::TcpListener;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    auth::{SECRET, bearer, call, forge, get, knock, now, say_unknown, setup, token},
    harness::{KeyServer, Maker, Neighbour, TestGateway, post, raw, soon},
};

const ISSUER: &str = "https://login.example/";
/// The last second of the year 9999.
const FAR: u64 = 253_402_300_799;
/// Longer than a token may be.
const LONG: usize = 4096;

/// What it is, and the token.
type Row = (String, String);

/// `value` with some of it changed.
fn with(value: &Value, changes: Value) -> Value {
    let mut value = value.clone();
    value.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    value
}

fn good() -> Value {
    json!({"sub": "ann", "exp": now() + 600, "iat": now(), "iss": ISSUER, "aud": ["other", "chat"]})
}

/// Who makes tokens: the gateway's own secret, or a pair of keys with a name.
#[derive(Clone)]
enum Signer {
    Secret,
    Pair(Maker, &'static str),
}

impl Signer {
    fn header(&self) -> Value {
        match self {
            Self::Secret => json!({"alg": "HS256", "typ": "JWT"}),
            Self::Pair(maker, kid) => maker.header(kid),
        }
    }

    /// Signs what is there as it is.
    fn sealed(&self, header: &str, claims: &(impl AsRef<[u8]> + ?Sized)) -> String {
        let Self::Pair(maker, _) = self else { return forge(header, claims, SECRET) };
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        format!("{message}.{}", maker.sign(&message))
    }

    fn token(&self, header: &Value, claims: &Value) -> String {
        self.sealed(&header.to_string(), &claims.to_string())
    }

    /// Those that anybody could think are the secret of this one.
    fn known(&self) -> Vec<(&'static str, String)> {
        let mut known = vec![("nothing", String::new()), ("another secret", "s".repeat(64))];
        if let Self::Pair(maker, kid) = self {
            let keys = [maker.public_pem(), maker.jwk(kid).to_string(), SECRET.to_owned()];
            known.extend(["its public key", "its public key as JSON", "the gateway's secret"].into_iter().zip(keys));
        }
        known
    }
}

/// Whose signature is another one's, no signature, or over something else; whose parts are others, or too few or too many.
fn badly_signed(signer: &Signer) -> Vec<Row> {
    let (good, header) = (good(), signer.header());
    let (token, plain, stranger) = (signer.token(&header, &good), good.to_string(), Maker::ec());
    let (message, signature) = token.rsplit_once('.').unwrap();
    let (head, body) = message.split_once('.').unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let of = |bytes: &[u8]| format!("{message}.{}", URL_SAFE_NO_PAD.encode(bytes));
    let half = bytes.len() / 2;
    let unsigned = |alg: &str| URL_SAFE_NO_PAD.encode(with(&header, json!({ "alg": alg })).to_string());
    let root = URL_SAFE_NO_PAD.encode(with(&good, json!({"sub": "root"})).to_string());
    let integer = |bytes: &[u8]| [&[2, 33, 0][..], bytes].concat();
    let der = [integer(&bytes[..half]), integer(&bytes[half..])].concat();
    let rows = [
        ("a signature that is 0", of(&vec![0; bytes.len()])),
        ("half a signature that is 0", of(&[&vec![0; half], &bytes[half..]].concat())),
        ("half a signature", of(&bytes[..half])),
        ("a byte more", of(&[&bytes[..], &[0]].concat())),
        ("a signature in another form", of(&[&[48, u8::try_from(der.len() & 127).unwrap()][..], &der].concat())),
        ("no algorithm", format!("{}.{body}.", unsigned("none"))),
        ("no algorithm, in other letters", format!("{}.{body}.", unsigned("nOnE"))),
        ("no algorithm, and a signature", format!("{}.{body}.{signature}", unsigned("none"))),
        ("no signature", format!("{message}.")),
        ("two parts", message.to_owned()),
        ("one part", head.to_owned()),
        ("no part", "..".to_owned()),
        ("four parts", format!("{message}.{signature}.{signature}")),
        ("five parts", format!("{head}.{body}.{body}.{body}.{signature}")),
        ("a padded signature", format!("{message}.{signature}=")),
        ("a padded head", format!("{head}=.{body}.{signature}")),
        ("a longer signature", format!("{message}.{signature}x")),
        ("a blank in it", format!("{head}. {body}.{signature}")),
        ("a blank behind its head", format!("{head} .{body}.{signature}")),
        ("other claims", format!("{head}.{root}.{signature}")),
        ("a stranger's key", stranger.token(&with(&stranger.header("e"), json!({"kid": header["kid"]})), &good)),
        ("something else", "x".repeat(20_000)),
        ("letters", "a.b.c".to_owned()),
        ("a key that is none", "tk_x".to_owned()),
    ];
    let mut rows: Vec<Row> = rows.into_iter().map(|(what, token)| (what.to_owned(), token)).collect();
    rows.push(("the other alphabet".to_owned(), in_the_other_alphabet(signer)));
    for (what, secret) in signer.known() {
        let hs256 = with(&header, json!({"alg": "HS256"})).to_string();
        rows.push((format!("HMAC by {what}"), forge(&hs256, &plain, &secret)));
        rows.push((format!("HMAC by {what}, without a name"), forge(r#"{"alg":"HS256"}"#, &plain, &secret)));
    }
    rows.retain(|(what, _)| {
        !(matches!(signer, Signer::Pair(..)) && what == "HMAC by the gateway's secret, without a name")
    });
    if let Signer::Pair(_, kid) = signer {
        rows.push(("an algorithm of secrets' name".to_owned(), forge(&header.to_string(), &plain, SECRET)));
        let other = if *kid == "r" { "e" } else { "r" };
        rows.push(("another one's name".to_owned(), signer.token(&with(&header, json!({ "kid": other })), &good)));
    }
    rows
}

/// A good token, but for its alphabet: that of base64, and not that of addresses.
fn in_the_other_alphabet(signer: &Signer) -> String {
    let tokens = (0..).map(|n| signer.token(&signer.header(), &with(&good(), json!({ "jti": n.to_string() }))));
    let mut told_apart = tokens.filter_map(|token| {
        let (message, signature) = token.rsplit_once('.')?;
        let other = signature.replace('-', "+").replace('_', "/");
        (other != signature).then(|| format!("{message}.{other}"))
    });
    told_apart.next().unwrap()
}

/// Whose head says what it must not, or brings a key along.
fn badly_headed(signer: &Signer, elsewhere: &str) -> Vec<Row> {
    let (good, header, stranger) = (good(), signer.header(), Maker::ec());
    let mut rows = Vec::new();
    for brought in [json!({"jwk": stranger.jwk("e")}), json!({"jku": elsewhere, "x5u": elsewhere, "kid": elsewhere})] {
        let header = with(&stranger.header("e"), brought);
        rows.push((format!("a stranger's, with {header}"), stranger.token(&header, &good)));
    }
    let mut changes = vec![
        json!({"alg": "RS512"}),
        json!({"alg": "HS512"}),
        json!({"alg": "hs256"}),
        json!({"alg": ["HS256"]}),
        json!({"alg": null}),
        json!({"crit": ["exp"]}),
        json!({"b64": false, "crit": ["b64"]}),
        json!({"b64": false}),
        json!({"zip": "DEF"}),
        json!({"enc": "A128GCM"}),
        json!({"alg": "dir", "enc": "A128GCM"}),
        json!({"cty": "JWT"}),
        json!({"typ": "dpop+jwt"}),
        json!({"typ": "secevent+jwt"}),
        json!({"kid": 7}),
        json!({"kid": "k".repeat(10 << 10)}),
    ];
    if matches!(signer, Signer::Pair(..)) {
        let names = ["../../../../dev/null", "' OR 1=1 --", "r\0", "http://127.0.0.1/k", "R"];
        changes.extend(names.map(|name| json!({ "kid": name })));
    }
    for change in changes {
        let told = change.to_string().chars().take(60).collect();
        rows.push((told, signer.token(&with(&header, change), &good)));
    }
    let twice = header.to_string().replacen('{', r#"{"alg":"none","#, 1);
    let nested = signer.token(&header, &good);
    let texts =
        [("alg twice", &*twice), ("no JSON", "alg"), ("an empty head", ""), ("a list", "[]"), ("a token", &nested)];
    rows.extend(
        texts.map(|(what, header)| (format!("a head that is {what}"), signer.sealed(header, &good.to_string()))),
    );
    rows
}

/// Whose claims are over, early, for others, or no claims.
fn badly_claimed(signer: &Signer) -> Vec<Row> {
    let (header, good) = (signer.header(), good());
    let mut rows = Vec::new();
    for change in [
        json!({"exp": now() - 10}),
        json!({"exp": (now() + 600).to_string()}),
        json!({"exp": now() as f64 + 600.5}),
        json!({"exp": -1}),
        json!({"exp": 0}),
        json!({"exp": u64::MAX, "iat": null}),
        json!({"exp": i64::MIN}),
        json!({"exp": true}),
        json!({"exp": {"$date": now() + 600}}),
        json!({"exp": [now() + 600]}),
        json!({"exp": null}),
        json!({"exp": FAR, "iat": null}),
        json!({"nbf": now() + 60}),
        json!({"nbf": "now"}),
        json!({"nbf": u64::MAX}),
        json!({"iat": now() + 60}),
        json!({"iat": now() - 400 * 24 * 3600}),
        json!({"iat": u64::MAX}),
        json!({"iat": i64::MIN}),
        json!({"aud": []}),
        json!({"aud": ""}),
        json!({"aud": [""]}),
        json!({"aud": [["chat"]]}),
        json!({"aud": ["other"]}),
        json!({"aud": "chat "}),
        json!({"aud": {"chat": true}}),
        json!({"aud": null}),
        json!({"iss": ISSUER.trim_end_matches('/')}),
        json!({"iss": [ISSUER]}),
        json!({"iss": null}),
        json!({"sub": null}),
        json!({"sub": 5}),
        json!({"sub": ""}),
        json!({"sub": ["ann"]}),
        json!({"sub": "a\u{0}"}),
        json!({"sub": "a\nb"}),
        json!({"sub": "x".repeat(500)}),
        json!({"sub": "x".repeat(10 << 10)}),
        json!({"tenant": "../north"}),
        json!({"scope": {"admin": true}}),
        json!({"jti": 5}),
        json!({"fat": "x".repeat(2 * LONG)}),
    ] {
        let told = change.to_string().chars().take(60).collect();
        rows.push((told, signer.token(&header, &with(&good, change))));
    }
    let (header, plain) = (header.to_string(), good.to_string());
    let nested = signer.sealed(&header, &plain);
    let bytes = plain.replacen("\"ann\"", "\"a?n\"", 1).into_bytes();
    let bytes: Vec<u8> = bytes.into_iter().map(|byte| if byte == b'?' { b'\xe4' } else { byte }).collect();
    rows.push(("claims that are no UTF-8".to_owned(), signer.sealed(&header, &bytes)));
    for (what, claims) in [
        ("sub twice", plain.replacen('{', r#"{"sub":"root","#, 1)),
        ("exp twice", plain.replacen("\"iat\"", "\"exp\"", 1)),
        ("exp twice, once beyond numbers", plain.replacen('{', r#"{"exp":1e400,"#, 1)),
        ("exp beyond numbers", plain.replacen("\"exp\"", "\"exp\":1e400,\"x\"", 1)),
        ("two of them", format!("{plain} {plain}")),
        ("a list without end", "[".repeat(2000)),
        ("half a character", plain.replacen("\"ann\"", r#""\ud800""#, 1)),
        ("none", "{}".to_owned()),
        ("no JSON", "sub".to_owned()),
        ("empty", String::new()),
        ("a token", nested),
    ] {
        rows.push((format!("claims that are {what}"), signer.sealed(&header, &claims)));
    }
    rows
}

/// Tokens of keys that a set has and that must be left out of it, and those keys.
fn of_unfit_keys(rsa: &Maker) -> (Vec<Row>, Vec<Value>) {
    let (twice, twin, good) = (Maker::ec(), Maker::ec(), good());
    let mut weak = rsa.jwk("weak");
    weak["n"] = weak["n"].as_str().unwrap()[..86].into(); // 512 bits.
    let secret = json!({"kty": "oct", "kid": "oct", "alg": "HS256", "k": URL_SAFE_NO_PAD.encode("known to all")});
    let encrypting = with(&rsa.jwk("enc"), json!({"use": "enc"}));
    let rows = [
        ("an RSA key of 512 bits", rsa.token(&rsa.header("weak"), &good)),
        ("a key that encrypts", rsa.token(&rsa.header("enc"), &good)),
        ("a name of two keys", twice.token(&twice.header("t"), &good)),
        ("a name of two keys, by the other", twin.token(&twin.header("t"), &good)),
        ("a published secret", forge(r#"{"alg":"HS256","kid":"oct"}"#, &good.to_string(), "known to all")),
    ];
    let rows = rows.into_iter().map(|(what, token)| (what.to_owned(), token)).collect();
    (rows, vec![weak, secret, encrypting, twice.jwk("t"), twin.jwk("t")])
}

/// The one answer over HTTP, without what is the request's own.
async fn refusal(gateway: &TestGateway, what: &str, token: &str) -> Value {
    let asked = reqwest::Client::new().get(gateway.url("/api/v1/sessions")).bearer_auth(token);
    let response = soon("an answer", asked.send()).await.unwrap();
    let about = [&response.headers()["www-authenticate"], &response.headers()["content-type"]];
    assert_eq!(
        (response.status().as_u16(), about.map(|field| field.to_str().unwrap())),
        (401, ["Bearer", "application/problem+json"]),
        "{what}: {token}"
    );
    let mut problem: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    problem.as_object_mut().unwrap().remove("request_id");
    problem
}

/// The same token everywhere else where one can be said.
async fn is_refused_everywhere(gateway: &TestGateway, what: &str, token: &str) {
    assert_eq!(knock(&gateway.socket(""), &[bearer(token)]).await, 401, "{what}");
    let protocol = ("sec-websocket-protocol", format!("chat.v1, bearer.{token}"));
    assert_eq!(knock(&gateway.socket(""), &[protocol]).await, 401, "{what}");
    let (said, code) = say_unknown(gateway, &[json!({"type": "hello", "token": token})]).await;
    assert_eq!((said.len(), code), (0, if token.len() < 4000 { 4001 } else { 1009 }), "{what}");
    let own = Signer::Secret.token(&Signer::Secret.header(), &good());
    let (_, validity) = call(gateway, Method::POST, "/auth/validate", Some(&own), json!({ "token": token })).await;
    assert_eq!(validity, json!({"valid": false}), "{what}");
}

#[tokio::test]
async fn nothing_else_is_taken_for_a_token_and_nobody_is_asked_for_keys() {
    let [rsa, ec, ed] = Maker::all();
    let spy = TcpListener::bind("127.0.0.1:0").unwrap();
    spy.set_nonblocking(true).unwrap();
    let elsewhere = format!("http://{}/keys", spy.local_addr().unwrap());
    let (unfit, mut set) = of_unfit_keys(&rsa);
    set.extend([rsa.jwk("r"), ec.jwk("e"), ed.jwk("d")]);
    let server = KeyServer::of(set).await;
    let setup = setup()
        .set("RIVULET_AUTH_JWKS_URL", &server.url)
        .set("RIVULET_AUTH_ISSUER", ISSUER)
        .set("RIVULET_AUTH_AUDIENCE", "chat");
    let year_9999 = ed.token(&ed.header("d"), &with(&good(), json!({"exp": FAR})));
    let (gateway, mut neighbour) = Neighbour::beside(setup, async |_| Some(year_9999)).await;
    let signers = [Signer::Secret, Signer::Pair(rsa, "r"), Signer::Pair(ec, "e"), Signer::Pair(ed, "d")];
    for signer in &signers {
        let token = signer.token(&signer.header(), &good());
        assert_eq!(get(&gateway, "/api/v1/sessions", &token).await.0, 200, "the others fail for their reasons only");
    }
    let (asked, mut answers, mut bad) = (server.hits(), Vec::new(), Vec::new());
    let of_all = signers.iter().map(|signer| {
        let rows = [badly_signed(signer), badly_headed(signer, &elsewhere), badly_claimed(signer)].concat();
        (matches!(signer, Signer::Secret), rows)
    });
    for (everywhere, rows) in of_all.chain([(true, unfit)]) {
        for (what, token) in rows {
            answers.push(refusal(&gateway, &what, &token).await);
            if everywhere {
                is_refused_everywhere(&gateway, &what, &token).await;
            }
            neighbour.goes_on().await;
            bad.push(token);
        }
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "one answer for all");
    // Keys that were left out may be good ones tomorrow: that was asked once.
    assert!(server.hits() <= asked + 1, "{}", server.hits());
    assert!(spy.accept().is_err(), "nobody asks the addresses in a token");
    let log = gateway.log();
    assert!(bad.iter().all(|token| token.len() < 6 || !log.contains(token.as_str())), "no token in the log:\n{log}");
    let (_, health) = gateway.get("/health").await;
    assert_eq!(health["components"]["keys"], json!({"state": "ready", "known": 3}));
    neighbour.has_all().await;
}

/// More than there is room for where it comes in.
#[tokio::test]
async fn a_token_of_a_megabyte_is_not_read_to_its_end() {
    const MOST_MEMORY: usize = 32 << 20;
    let (gateway, mut neighbour) = Neighbour::beside(setup(), async |_| Some(token("ann"))).await;
    let (before, long) = (gateway.memory(), "x".repeat(1 << 20));
    let asking = format!("GET /api/v1/sessions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {long}\r\n\r\n");
    let own = format!("Authorization: Bearer {}\r\n", token("ann"));
    let handing = post("/auth/validate", &own, &json!({ "token": long }).to_string());
    for (what, request, status) in [("in a head", asking, 431), ("to be looked at", handing, 413)] {
        let answer = raw(&gateway, &request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{what}: {answer}");
        neighbour.goes_on().await;
    }
    let (said, code) = say_unknown(&gateway, &[json!({"type": "hello", "token": long})]).await;
    assert_eq!((said.len(), code), (0, 1009));
    let grown = gateway.memory().saturating_sub(before);
    assert!(grown < MOST_MEMORY, "{} MB more than before", grown >> 20);
    neighbour.has_all().await;
}
