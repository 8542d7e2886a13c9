//! TLS on the gateway's own port: HTTP/1.1, HTTP/2 and sockets through it, and what comes to it without.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt, future::join_all};
use hyper::Request;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, ServerName},
    },
};
use tokio_tungstenite::{client_async, tungstenite::Message};

use crate::{
    harness::{Setup, TestGateway, raw, soon},
    rates::REFUSED_EVERY,
};

mod frames;

/// A certificate for this machine, and the files that it is in.
struct Certificate {
    der: CertificateDer<'static>,
    pem: String,
    files: [PathBuf; 2],
}

impl Certificate {
    /// A new one in the files of `setup`.
    fn written(setup: &Setup) -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        let files = ["cert.pem", "key.pem"].map(|name| setup.data.path().join(name));
        fs::write(&files[0], made.cert.pem()).unwrap();
        fs::write(&files[1], made.signing_key.serialize_pem()).unwrap();
        Self { der: made.cert.der().clone(), pem: made.cert.pem(), files }
    }

    fn setup(&self, setup: Setup) -> Setup {
        let [cert, key] = self.files.each_ref().map(|path| path.to_str().unwrap());
        setup.set("RIVULET_SERVER_TLS_CERT", cert).set("RIVULET_SERVER_TLS_KEY", key)
    }

    /// A client that trusts this one alone.
    fn client(&self) -> reqwest::Client {
        let certificate = reqwest::Certificate::from_pem(self.pem.as_bytes()).unwrap();
        reqwest::Client::builder().tls_certs_only([certificate]).build().unwrap()
    }

    async fn connect(&self, gateway: &TestGateway, protocol: &[u8]) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        let stream = TcpStream::connect(&gateway.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        soon("a handshake", TlsConnector::from(Arc::new(config)).connect(name, stream)).await.unwrap()
    }
}

async fn with_tls() -> (TestGateway, Certificate) {
    let setup = Setup::bare();
    let certificate = Certificate::written(&setup);
    (certificate.setup(setup).start().await, certificate)
}

#[tokio::test]
async fn https_speaks_both_versions_and_says_that_it_is_to_stay_so() {
    let (gateway, certificate) = with_tls().await;
    let client = certificate.client();
    let url = format!("https://{}", gateway.address);
    let live = soon("an answer", client.get(format!("{url}/livez")).send()).await.unwrap();
    assert_eq!((live.status().as_u16(), live.version()), (200, reqwest::Version::HTTP_2));
    assert_eq!(live.headers()["strict-transport-security"], "max-age=31536000");

    // A request with a body, and the page's own origin.
    let asked = client.post(format!("{url}/api/v1/chat")).header("origin", &url).json(&json!({ "message": "hello" }));
    let (status, answer) = TestGateway::answer(asked).await;
    assert_eq!((status, answer["status"].as_str()), (200, Some("complete")), "{answer}");
    let foreign = client.post(format!("{url}/api/v1/chat")).header("origin", "https://evil.example");
    assert_eq!(TestGateway::answer(foreign.json(&json!({ "message": "hello" }))).await.0, 403);

    let mut plain = certificate.connect(&gateway, b"http/1.1").await;
    plain.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    soon("an answer", tokio::io::AsyncReadExt::read_to_string(&mut plain, &mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

#[tokio::test]
async fn a_socket_goes_through_tls() {
    let (gateway, certificate) = with_tls().await;
    let stream = certificate.connect(&gateway, b"http/1.1").await;
    let (mut socket, _) = client_async(gateway.socket(""), stream).await.unwrap();
    let said = json!({ "type": "send", "id": "m1", "text": "hello" });
    socket.send(Message::text(said.to_string())).await.unwrap();
    let status = soon("an answer", async {
        loop {
            let Some(Ok(Message::Text(text))) = socket.next().await else { continue };
            let frame: Value = serde_json::from_str(&text).unwrap();
            if frame["type"] == "run.done" {
                return frame["status"].clone();
            }
        }
    });
    assert_eq!(status.await, "complete");
    socket.close(None).await.unwrap();
}

#[tokio::test]
async fn what_comes_without_tls_is_told_so_and_the_neighbour_does_not_notice() {
    let (gateway, certificate) = with_tls().await;
    let client = certificate.client();
    let answer = raw(&gateway, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n") && answer.contains("tls_required"), "{answer}");
    // The beginning of a handshake, and then something else, or nothing.
    for start in [&b"\x16\x03\x01\x02\x00"[..], b"\x16\x03\x01\xff\xff\xff\xff\xff", b"\x16"] {
        let mut stream = TcpStream::connect(&gateway.address).await.unwrap();
        stream.write_all(start).await.unwrap();
        stream.shutdown().await.unwrap();
        let live = client.get(format!("https://{}/livez", gateway.address));
        assert_eq!(soon("an answer", live.send()).await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn the_host_of_http2_is_the_one_of_the_target() {
    let (gateway, certificate) = with_tls().await;
    for (target, host, status) in [
        ("https://localhost/api/v1/version", None, 200),
        ("https://localhost/api/v1/version", Some("localhost"), 200),
        ("https://localhost/api/v1/version", Some("evil.example"), 400),
        // It answers to no other name, for nobody has to say who they are.
        ("https://evil.example/api/v1/version", None, 421),
    ] {
        let stream = certificate.connect(&gateway, b"h2").await;
        let io = TokioIo::new(stream);
        let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.unwrap();
        let mut request = Request::get(target).body(String::new()).unwrap();
        if let Some(host) = host {
            request.headers_mut().insert("host", host.parse().unwrap());
        }
        let answer = tokio::select! {
            answer = soon("an answer", sender.send_request(request)) => answer.unwrap(),
            ended = connection => panic!("the connection ended: {ended:?}"),
        };
        assert_eq!(answer.status().as_u16(), status, "{target} {host:?}");
    }
}

/// However many requests an HTTP/2 connection has under way.
#[tokio::test]
async fn who_asks_too_often_over_http2_waits_for_one_refusal_after_the_other() {
    let setup = Setup::bare().set("RATE_LIMIT_REQUESTS", "1").set("RATE_LIMIT_WINDOW", "3600");
    let certificate = Certificate::written(&setup);
    let (gateway, client) = (certificate.setup(setup).start().await, certificate.client());
    let ask = || client.get(format!("https://{}/api/v1/sessions", gateway.address)).send();
    assert_eq!(ask().await.unwrap().status(), 200);
    let begun = Instant::now();
    for answer in soon("refusals", join_all((0..5).map(|_| ask()))).await {
        let answer = answer.unwrap();
        assert_eq!((answer.status().as_u16(), answer.version()), (429, reqwest::Version::HTTP_2));
    }
    assert!(begun.elapsed() >= REFUSED_EVERY * 5, "{:?}", begun.elapsed());
}

/// Takes the gateway's real time, beside other tests.
#[tokio::test]
async fn an_http2_connection_without_requests_is_closed_and_one_that_listens_is_not() {
    let (gateway, certificate) = with_tls().await;
    let client = certificate.client();
    let session = client.post(format!("https://{}/api/v1/sessions", gateway.address)).json(&json!({}));
    let session = TestGateway::answer(session).await.1["session_id"].as_str().unwrap().to_owned();
    let events = format!("https://{}/api/v1/sessions/{session}/events", gateway.address);
    let neighbour = certificate.client().get(events).send().await.unwrap();
    let mut neighbour = neighbour.bytes_stream();
    assert!(soon("the first event", neighbour.next()).await.unwrap().is_ok());

    let stream = certificate.connect(&gateway, b"h2").await;
    let (sender, connection) =
        hyper::client::conn::http2::handshake::<_, _, String>(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    timeout(Duration::from_secs(110), connection).await.expect("it is closed").unwrap();
    drop(sender);
    assert!(soon("a sign of life", neighbour.next()).await.unwrap().is_ok());
}

#[tokio::test]
async fn what_is_no_certificate_does_not_start() {
    let setup = Setup::bare();
    let certificate = Certificate::written(&setup);
    let other = Setup::bare();
    let stranger = Certificate::written(&other);
    let [cert, key] = certificate.files.each_ref().map(|path| path.to_str().unwrap().to_owned());
    let empty = setup.data.path().join("empty.pem");
    fs::write(&empty, "").unwrap();
    let (empty, missing) = (empty.to_str().unwrap(), setup.data.path().join("missing.pem"));
    for (cert, key, said) in [
        (cert.as_str(), stranger.files[1].to_str().unwrap(), "cannot be used together"),
        (empty, key.as_str(), "certificates in PEM"),
        (cert.as_str(), empty, "a private key in PEM"),
        (key.as_str(), key.as_str(), "certificates in PEM"),
        (missing.to_str().unwrap(), key.as_str(), "No such file"),
        (cert.as_str(), "", "server.tls_key is not"),
    ] {
        let setup = setup.clone().set("RIVULET_SERVER_TLS_CERT", cert).set("RIVULET_SERVER_TLS_KEY", key);
        for command in ["serve", "check"] {
            let output = setup.output(&[command]).await;
            let text =
                format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert!(!output.status.success() && text.contains(said), "{command}: {said}: {text}");
        }
    }
}

/// Somebody may have one that is made anew while the gateway runs.
#[tokio::test]
async fn a_certificate_that_is_over_is_told_and_shown_all_the_same() {
    let setup = Setup::bare();
    let (files, key) = (Certificate::written(&setup), rcgen::KeyPair::generate().unwrap());
    let mut over = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    over.not_after = rcgen::date_time_ymd(2020, 1, 1);
    fs::write(&files.files[0], over.self_signed(&key).unwrap().pem()).unwrap();
    fs::write(&files.files[1], key.serialize_pem()).unwrap();
    let setup = files.setup(setup);
    let checked = setup.output(&["check"]).await;
    let told = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(checked.status.success() && told.contains("warn  tls") && told.contains("ended on 2020-01-01"), "{told}");
    let gateway = setup.start().await;
    assert_eq!(gateway.log().matches("the certificate of server.tls_cert is over").count(), 1, "{}", gateway.log());
    assert!(gateway.log().contains("2020-01-01"), "{}", gateway.log());
}

#[tokio::test]
async fn the_administrators_commands_find_a_gateway_with_tls_and_a_port_of_its_own() {
    let setup = Setup::bare()
        .set("RIVULET_AUTH_REQUIRED", "true")
        .set("JWT_SECRET_KEY", "a-secret-of-thirty-two-characters-or-more")
        .set("RIVULET_SERVER_ADMIN_BIND", "127.0.0.1:0");
    let certificate = Certificate::written(&setup);
    let gateway = certificate.setup(setup).start().await;
    let made = gateway.setup().output(&["api-key", "new", "--name", "crm"]).await;
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let key = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    let asked = certificate.client().get(format!("https://{}/api/v1/sessions", gateway.address)).bearer_auth(key);
    assert_eq!(TestGateway::answer(asked).await.0, 200);
}

#[tokio::test]
async fn a_new_certificate_is_shown_after_a_reload_and_an_invalid_one_is_not() {
    let setup = Setup::bare();
    let first = Certificate::written(&setup);
    let gateway = first.setup(setup.clone()).start().await;
    let url = format!("https://{}/livez", gateway.address);
    let second = Certificate::written(&setup);
    gateway.reload("the configuration was read again").await;
    assert!(second.client().get(&url).send().await.is_ok() && first.client().get(&url).send().await.is_err());
    fs::write(&second.files[0], "no certificate").unwrap();
    gateway.reload("the configuration stays as it was").await;
    assert!(second.client().get(&url).send().await.is_ok());
}
