//! Documents that come in badly, as bytes: each form is refused in so many words and nothing of it stays, or it is taken for
//! what it says. Names lead nowhere.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{
    documents::{BOUNDARY, User, files, form, setup},
    harness::{Neighbour, TestGateway, all},
};

/// What a document may have here.
const MOST: usize = 100_000;
const TEXT: &[u8] = b"# A text";
/// How much the gateway may grow by all that it refuses.
const MOST_MEMORY: usize = 64 << 20;

fn kind(boundary: &str) -> String {
    format!("multipart/form-data; boundary={boundary}")
}

/// Sends a body as a document; status and answer.
async fn send(gateway: &TestGateway, kind: &str, body: &[u8]) -> (u16, Value) {
    let head = format!(
        "POST /api/v1/documents HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{kind}Content-Length: {}\r\n\r\n",
        body.len()
    );
    let answer = all(gateway, &[head.as_bytes(), body].concat()).await;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("no status: {head}")), serde_json::from_str(body).unwrap_or(json!(body)))
}

/// A part with this head, between two borders.
fn part(head: &str, content: &[u8]) -> Vec<u8> {
    [format!("--{BOUNDARY}\r\n{head}\r\n\r\n").as_bytes(), content, b"\r\n"].concat()
}

/// A form of parts as they are.
fn of(parts: &[Vec<u8>]) -> Vec<u8> {
    [parts.concat(), format!("--{BOUNDARY}--\r\n").into_bytes()].concat()
}

/// The text, in a file of this name, the head of its part being this.
fn file(disposition: &str) -> Vec<u8> {
    of(&[part(&format!("Content-Disposition: {disposition}"), TEXT)])
}

/// So many parts of no meaning, and the file.
fn beside(parts: usize) -> Vec<u8> {
    let few: Vec<_> = (0..parts).map(|_| ("x", None, TEXT)).collect();
    form(&[few, vec![("file", Some("a.md"), TEXT)]].concat())
}

/// As large a file as there may be, and parts that are each short enough and together too long.
fn much_beside() -> Vec<u8> {
    let (text, file) = ([b'a'; 8000], vec![b'a'; MOST]);
    let few: Vec<_> = (0..15).map(|_| ("x", None, &text[..])).collect();
    form(&[vec![("file", Some("a.md"), &file[..])], few].concat())
}

/// What it is · the type that it says it has · the body · status and code · what the answer names.
type Row = (&'static str, String, Vec<u8>, u16, &'static str, &'static str);

/// Forms that have no file, or too much of anything.
fn of_parts() -> Vec<Row> {
    let a_file = ("file", Some("a.md"), TEXT);
    let field = |name, value| form(&[(name, None, value), a_file]);
    let rows: Vec<(_, Vec<u8>, _, _, _)> = vec![
        ("no file", form(&[("title", None, b"A title")]), 400, "invalid_field", "`file` is missing"),
        ("no part", form(&[]), 400, "invalid_field", "`file` is missing"),
        ("an empty file", form(&[("file", Some("a.md"), b"")]), 400, "empty_text", "empty"),
        ("two files", form(&[a_file, ("file", Some("b.md"), TEXT)]), 400, "invalid_field", "`file` must be there once"),
        ("two titles", form(&[("title", None, b"a"), ("title", None, b"b")]), 400, "invalid_field", "`title`"),
        ("17 parts", beside(16), 400, "invalid_field", "more than 16 parts"),
        ("1,000 parts", beside(1_000), 400, "invalid_field", "more than 16 parts"),
        ("10,000 parts", beside(10_000), 413, "too_large", "100000 bytes"),
        ("a long part", field("x", &[b'a'; 9000]), 400, "invalid_field", "8192 bytes"),
        ("a long title", field("title", &[b'a'; 201]), 400, "invalid_field", "`title` has 1 to 200"),
        ("a title that is no UTF-8", field("title", b"\xfc"), 400, "invalid_field", "`title` must be UTF-8"),
        ("a key of two lines", field("key", b"a\nb"), 400, "invalid_field", "`key`"),
        ("an address of two lines", field("uri", b"a\nb"), 400, "invalid_field", "`uri`"),
        ("a collection of two words", field("collection", b"a b"), 400, "invalid_field", "collection"),
        ("metadata that are a list", field("metadata", b"[1]"), 400, "invalid_field", "`metadata`"),
        ("metadata without end", field("metadata", &[b'['; 4000]), 400, "invalid_field", "`metadata` must be JSON"),
        ("metadata beyond numbers", field("metadata", b"{\"a\":1e999}"), 400, "invalid_field", "`metadata`"),
        ("one byte too many", form(&[("file", Some("a.md"), &[b'a'; MOST + 1])]), 413, "too_large", "100000 bytes"),
        ("much too many", form(&[("file", Some("a.md"), &vec![b'a'; 3_000_000])]), 413, "too_large", "100000 bytes"),
        ("much beside the file", much_beside(), 413, "too_large", "100000 bytes"),
    ];
    rows.into_iter()
        .map(|(what, body, status, code, named)| (what, kind(BOUNDARY), body, status, code, named))
        .collect()
}

/// Files that are not what they are called.
fn of_kinds() -> Vec<Row> {
    let named = |name, content: &[u8]| form(&[("file", Some(name), content)]);
    let rows: Vec<(_, Vec<u8>, _, _)> = vec![
        ("a program", named("a.exe", TEXT), "unsupported_type", ".md, .txt"),
        ("a drawing with a script", named("a.svg", b"<svg><script>alert(1)</script></svg>"), "unsupported_type", ".md"),
        ("no ending", named("a", TEXT), "unsupported_type", ".md"),
        ("an ending alone", named(".md", TEXT), "unsupported_type", ".md"),
        ("a program behind a document", named("a.pdf.exe", TEXT), "unsupported_type", ".md"),
        ("a program turned around", named("\u{202e}dm.exe", TEXT), "unsupported_type", ".md"),
        ("a stream of a file", named("a.md::$DATA", TEXT), "unsupported_type", ".md"),
        ("a picture", named("a.md", b"\x89PNG\r\n\x1a\n"), "type_mismatch", "an image"),
        ("a program as a PDF", named("a.pdf", b"\x7fELF\x02\x01"), "type_mismatch", "a program"),
        ("a picture that goes on as a PDF", named("a.pdf", b"GIF89a\n%PDF-1.7\n"), "type_mismatch", "an image"),
        ("a PDF as a text", named("a.txt", b"%PDF-1.7\n"), "type_mismatch", "Pdf"),
        ("a NUL in a text", named("a.txt", b"a\0b"), "type_mismatch", "no text"),
    ];
    rows.into_iter().map(|(what, body, code, named)| (what, kind(BOUNDARY), body, 415, code, named)).collect()
}

/// Bodies that are no form, or another one.
fn of_borders() -> Vec<Row> {
    let whole = form(&[("file", Some("a.md"), TEXT)]);
    let bordered = |border: &str| String::from_utf8(whole.clone()).unwrap().replace(BOUNDARY, border).into_bytes();
    let long = "b".repeat(71);
    let inner = b"--in\r\nContent-Disposition: file; filename=\"a.md\"\r\n\r\n# A text\r\n--in--";
    let (media, broken) = ("unsupported_media_type", "invalid_form");
    let in_form = |name: &str| format!("form-data; name=\"file\"; filename=\"{name}\"");
    let one = |head: &str, content: &[u8]| of(&[part(head, content)]);
    let base64 = format!("Content-Disposition: {}\r\nContent-Transfer-Encoding: base64", in_form("a.md"));
    let endless = format!("--{BOUNDARY}\r\nContent-Disposition: {}", in_form(&"a".repeat(90_000))).into_bytes();
    let fields = format!("Content-Disposition: {}{}", in_form("a.md"), "\r\nX-A: b".repeat(1000));
    let latin1 = [b"Content-Disposition: form-data; name=\"file\"; filename=\"\xfc.md\"\r\n\r\n", TEXT].concat();
    let latin1 =
        [format!("--{BOUNDARY}\r\n").as_bytes(), &latin1, format!("\r\n--{BOUNDARY}--\r\n").as_bytes()].concat();
    let mixed = "Content-Disposition: form-data; name=\"file\"\r\nContent-Type: multipart/mixed; boundary=in";
    let form_of = || kind(BOUNDARY);
    vec![
        ("JSON", "application/json".to_owned(), b"{\"file\":\"a\"}".to_vec(), 415, media, "multipart/form-data"),
        (
            "another form",
            format!("multipart/mixed; boundary={BOUNDARY}"),
            whole.clone(),
            415,
            media,
            "multipart/form-data",
        ),
        ("no border", "multipart/form-data".to_owned(), whole.clone(), 415, media, "a boundary of 1 to 70"),
        ("an empty border", kind(""), bordered(""), 415, media, "a boundary of 1 to 70"),
        ("an empty border, quoted", kind("\"\""), bordered(""), 415, media, "a boundary of 1 to 70"),
        ("a long border", kind(&long), bordered(&long), 415, media, "a boundary of 1 to 70"),
        ("another border", kind("other"), whole.clone(), 400, broken, "is none"),
        (
            "a border of others first",
            format!("{}; boundary={BOUNDARY}", kind("other")),
            whole.clone(),
            400,
            broken,
            "is none",
        ),
        ("nothing", form_of(), Vec::new(), 400, broken, "breaks off"),
        ("no form", form_of(), b"nothing of the kind".to_vec(), 400, broken, "is none"),
        ("borders alone", form_of(), vec![b'-'; 80_000], 400, broken, "is none"),
        (
            "lines of another system",
            form_of(),
            whole.iter().copied().filter(|b| *b != b'\r').collect(),
            400,
            broken,
            "is none",
        ),
        ("a form that breaks off", form_of(), whole[..90].to_vec(), 400, broken, "breaks off"),
        (
            "a part without end",
            form_of(),
            part(&format!("Content-Disposition: {}", in_form("a.md")), TEXT),
            400,
            broken,
            "breaks off",
        ),
        ("a head without end", form_of(), endless, 400, broken, "breaks off"),
        ("a head of 1,000 fields", form_of(), one(&fields, TEXT), 400, broken, "is none"),
        ("a NUL in a name", form_of(), file(&in_form("a.md\0.exe")), 400, broken, "is none"),
        (
            "a name of two lines",
            form_of(),
            file(&in_form("a\r\nX: b.md")),
            400,
            "invalid_field",
            "`file` needs a file name",
        ),
        ("a name that is no UTF-8", form_of(), latin1, 400, "invalid_field", "a file name in UTF-8"),
        ("no name", form_of(), file("form-data; name=\"file\""), 400, "invalid_field", "needs a file name"),
        (
            "a name in an RFC 5987 of its own",
            form_of(),
            file(r"form-data; name=file; filename*=UTF-8''%C3%BC.md"),
            400,
            "invalid_field",
            "needs a file name",
        ),
        (
            "a name without its end",
            form_of(),
            file("form-data; name=\"file\"; filename=\"a.md"),
            400,
            "invalid_field",
            "needs a file name",
        ),
        ("a name with a mark of a terminal", form_of(), file(&in_form("a\x1b[31m.md")), 400, broken, "is none"),
        (
            "a name over two lines",
            form_of(),
            file("form-data;\r\n name=\"file\"; filename=\"a.md\""),
            400,
            broken,
            "is none",
        ),
        (
            "another field",
            form_of(),
            file("form-data; name=\"files[]\"; filename=\"a.md\""),
            400,
            "invalid_field",
            "`file` is missing",
        ),
        (
            "a field in other letters",
            form_of(),
            file("form-data; name=\"File\"; filename=\"a.md\""),
            400,
            "invalid_field",
            "`file` is missing",
        ),
        (
            "a field within a name",
            form_of(),
            file("form-data; filename=\"; name=title; .md\"; name=\"file\""),
            400,
            "invalid_field",
            "`file` is missing",
        ),
        ("an empty name", form_of(), file(&in_form("")), 400, "invalid_field", "needs a file name"),
        ("a folder", form_of(), file(&in_form("../")), 400, "invalid_field", "needs a file name"),
        ("an attachment", form_of(), file("attachment; filename=\"a.md\""), 400, "invalid_field", "`file` is missing"),
        ("no disposition", form_of(), one("Content-Type: text/plain", TEXT), 400, "invalid_field", "`file` is missing"),
        ("a form in a form", form_of(), one(mixed, inner), 400, "invalid_field", "needs a file name"),
        ("a file in another code", form_of(), one(&base64, b"IyBB"), 400, "invalid_field", "Content-Transfer-Encoding"),
    ]
}

#[tokio::test]
async fn bad_forms_are_refused_and_leave_nothing() {
    let (gateway, mut neighbour) = Neighbour::of_nobody(setup().set("RIVULET_KNOWLEDGE_UPLOAD_BYTES", "100000")).await;
    let user = User::of(&gateway);
    user.add("known.md", "# Known\n\nThe garganey dabbles.").await;
    let before = gateway.memory();
    for (what, kind, body, status, code, named) in of_parts().into_iter().chain(of_kinds()).chain(of_borders()) {
        let (found, problem) = send(&gateway, &format!("Content-Type: {kind}\r\n"), &body).await;
        assert_eq!((found, &problem["code"]), (status, &json!(code)), "{what}: {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(named), "{what}: {problem}");
        leaves_nothing(&gateway, what);
        neighbour.goes_on().await;
    }
    let whole = form(&[("file", Some("a.md"), TEXT)]);
    let packed = format!("Content-Type: {}\r\nContent-Encoding: gzip\r\n", kind(BOUNDARY));
    let twice = format!("Content-Type: {}\r\nContent-Type: text/plain\r\n", kind(BOUNDARY));
    let media = (415, json!("unsupported_media_type"));
    for (what, head, answer) in [
        ("no type", "", media.clone()),
        ("a packed one", packed.as_str(), media),
        ("two types", twice.as_str(), (400, json!("invalid_field"))),
    ] {
        let (status, problem) = send(&gateway, head, &whole).await;
        assert_eq!((status, problem["code"].clone()), answer, "{what}: {problem}");
        leaves_nothing(&gateway, what);
    }
    // A line of 100 MB, twice at once.
    let endless = form(&[("file", Some("a.md"), &vec![b'a'; 100_000_000])]);
    let head = format!("Content-Type: {}\r\n", kind(BOUNDARY));
    for (status, problem) in join_all((0..2).map(|_| send(&gateway, &head, &endless))).await {
        assert_eq!((status, &problem["code"]), (413, &json!("too_large")), "{problem}");
    }
    leaves_nothing(&gateway, "a line of 100 MB");
    let grown = gateway.memory().saturating_sub(before);
    assert!(grown < MOST_MEMORY, "{} MB more than before", grown >> 20);
    neighbour.goes_on().await;

    let (status, problem) = user.post("/documents/text", json!({"text": "x".repeat(MOST + 1), "title": "a"})).await;
    assert_eq!((status, &problem["code"]), (413, &json!("too_large")));
    let (status, _) = user.send(reqwest::Method::PUT, "/documents/nothing", whole).await;
    assert_eq!(status, 404);
    assert_eq!(user.get("/documents").await.1["documents"].as_array().unwrap().len(), 1);
    neighbour.has_all().await;
}

/// Beside the one that was there before, what was refused has no file: neither a whole one nor a part of one.
fn leaves_nothing(gateway: &TestGateway, what: &str) {
    let (parts, whole) = (files(&gateway.setup(), ".part"), files(&gateway.setup(), "/blobs/"));
    assert_eq!((parts.len(), whole.len()), (0, 1), "{what}: {parts:?} {whole:?}");
}

/// What a file is called · what is shown of that.
fn names() -> Vec<(&'static str, String, String)> {
    let long = format!("{}.md", "n".repeat(300));
    let cut = long[103..].to_owned();
    let row = |what, given: &str, shown: &str| (what, given.to_owned(), shown.to_owned());
    vec![
        row("out of its folder", "../../../etc/passwd.md", "passwd.md"),
        row("another system's folder", "C:\\temp\\b.md", "b.md"),
        row("from the root", "/absolute/c.md", "c.md"),
        row("a direction turned", "exe.\u{202e}gnp.md", "exe.gnp.md"),
        row("lines of its own", "a\u{2028}b\u{2029}.md", "ab.md"),
        row("a mark of the order of bytes", "\u{feff}d.md", "d.md"),
        row("a folder in percents", "a%2F..%2Fb%00.md", "a%2F..%2Fb%00.md"),
        row("an encoded word", "=?UTF-8?Q?r=C3=A9.md?=.md", "=?UTF-8?Q?r=C3=A9.md?=.md"),
        row("a name beside another one", "e.md\"; filename*=UTF-8''..%2Ff.md; x=\"", "e.md"),
        row("two names", "f.md\"; filename=\"g.md", "f.md"),
        row("a quoted mark", "a\\\"b.md", "a\"b.md"),
        ("300 bytes", long, cut),
        row("a device of another system", "CON.md", "CON.md"),
        row("a device that is a text", "nul.txt", "nul.txt"),
        row("two endings", "a.exe.md", "a.exe.md"),
        row("marks of a shell", "$(id);`id`|&.md", "$(id);`id`|&.md"),
        row("marks of a page", "<img src=x onerror=alert(1)>.md", "<img src=x onerror=alert(1)>.md"),
        row("not composed", "e\u{301}.md", "e\u{301}.md"),
    ]
}

#[tokio::test]
async fn names_lead_nowhere_and_bounds_are_exact() {
    let (gateway, mut neighbour) = Neighbour::of_nobody(setup().set("RIVULET_KNOWLEDGE_UPLOAD_BYTES", "100000")).await;
    let user = User::of(&gateway);
    let names = names();
    for (n, (what, given, shown)) in names.iter().enumerate() {
        let (status, accepted) = user.upload(given, &format!("# Text {n}")).await;
        assert_eq!(status, 202, "{what}: {accepted}");
        let (_, document) = user.get(&format!("/documents/{}", accepted["document"].as_str().unwrap())).await;
        assert_eq!(document["name"], *shown, "{what}");
        neighbour.goes_on().await;
    }
    let kept = || files(&gateway.setup(), "/blobs/").len();
    assert!(files(&gateway.setup(), "passwd").is_empty() && kept() == names.len());
    let within = format!("# x --{BOUNDARY}-- and\n--{BOUNDARY} is text");
    let longest = "b".repeat(70);
    let bordered = format!(
        "--{longest}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"l.md\"\r\n\r\nx\r\n--{longest}--"
    );
    for (what, kind, body) in [
        ("as many bytes as it may have", kind(BOUNDARY), form(&[("file", Some("m.txt"), &[b'a'; MOST])])),
        ("as many parts as it may have", kind(BOUNDARY), beside(15)),
        ("a border within the text", kind(BOUNDARY), form(&[("file", Some("w.md"), within.as_bytes())])),
        ("words before it", kind(BOUNDARY), [b"words\r\n", &*form(&[("file", Some("p.md"), b"before")])].concat()),
        ("words behind it", kind(BOUNDARY), [&*form(&[("file", Some("e.md"), b"behind")]), b"words"].concat()),
        ("the longest border", kind(&longest), bordered.into_bytes()),
    ] {
        let before = kept();
        let (status, accepted) = send(&gateway, &format!("Content-Type: {kind}\r\n"), &body).await;
        assert_eq!((status, kept()), (202, before + 1), "{what}: {accepted}");
        neighbour.goes_on().await;
    }
    neighbour.has_all().await;
    let bounded = setup().set("RIVULET_KNOWLEDGE_DOCUMENTS", "1").start().await;
    let user = User::of(&bounded);
    assert_eq!(user.upload("a.md", "# One").await.0, 202);
    let (status, problem) = user.upload("b.md", "# Two").await;
    assert_eq!((status, &problem["code"]), (429, &json!("too_many")));
    assert_eq!(user.upload("a.md", "# Another one").await.0, 202, "a version is no document more");
}
