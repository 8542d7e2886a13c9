//! Tables that somebody brings, over real HTTP and sockets: what is refused, whose they are, and what assistants make of them.

use std::{
    fs,
    io::{Cursor, Write},
    time::Duration,
};

use reqwest::Method;
use rivulet::mock_llm::Options;
use serde_json::{Value, json};
use tokio::time::sleep;
use zip::{ZipWriter, write::SimpleFileOptions};

use crate::{
    auth::{self, token},
    documents::{BOUNDARY, form},
    harness::{Client, Neighbour, Setup, TestGateway, Upstream, upstream},
};

const ECON: &str = "[knowledge]\nmode = \"off\"\n[tools]\nuse = [\"dataset\", \"forecast\", \"chart\"]\n";
const TRADE: &[u8] = include_bytes!("../../sample-data/trade.csv");
const PRICES: &[u8] = include_bytes!("../files/prices.xlsx");

/// With an assistant that asks tables.
fn analysing(setup: Setup) -> Setup {
    let folder = setup.data.path().join("assistants");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("econ.toml"), ECON).unwrap();
    setup
}

async fn calling() -> Upstream {
    upstream(Options { rate: 0.0, ..Options::default() }).await
}

async fn call(gateway: &TestGateway, method: Method, path: &str, token: Option<&str>, body: Vec<u8>) -> (u16, Value) {
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    let request = reqwest::Client::new().request(method, gateway.url(&format!("/api/v1{path}")));
    let request = match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    };
    TestGateway::answer(request.header("content-type", kind).body(body)).await
}

async fn upload(gateway: &TestGateway, name: &str, bytes: &[u8]) -> (u16, Value) {
    call(gateway, Method::POST, "/datasets", None, form(&[("file", Some(name), bytes)])).await
}

/// What came of the one call of an answer.
async fn result(client: &mut Client, tool: &str, arguments: &Value) -> Value {
    client.say(&format!("call {tool} {arguments}")).await;
    let result = client.until("tool.result").await;
    client.answer().await;
    result
}

/// What a tool has made, by its place among the files.
async fn made(gateway: &TestGateway, result: &Value, at: usize) -> String {
    let id = result["artifacts"][at]["artifact"].as_str().unwrap_or_else(|| panic!("{result}"));
    reqwest::get(gateway.url(&format!("/api/v1/artifacts/{id}"))).await.unwrap().text().await.unwrap()
}

#[tokio::test]
async fn a_table_is_brought_asked_drawn_and_gone_on_with() {
    let upstream = calling().await;
    let gateway = analysing(Setup::with_upstream(&upstream.url)).start().await;
    let (status, about) = upload(&gateway, "trade.csv", TRADE).await;
    assert_eq!(status, 201, "{about}");
    assert_eq!((&about["rows"], about["columns"].as_array().unwrap().len()), (&json!(36), 8));
    let period = json!({"column": "date", "from": "2023-01", "to": "2025-12", "every": "month"});
    assert_eq!(about["period"], period);
    assert_eq!(about["columns"][1], json!({"name": "imports", "type": "integer", "missing": 0, "min": 88, "max": 172}));

    let mut client = Client::connect(&format!("{}?assistant=econ", gateway.socket(""))).await;
    let averages = json!({"group_by": ["year(date)"], "agg": ["avg(imports)"]});
    let told = result(&mut client, "dataset", &averages).await;
    assert_eq!(told["data"]["rows"], json!([["2023", 111], ["2024", 135], ["2025", 159]]), "{told}");
    assert_eq!(told["artifacts"][0]["kind"], "table");
    assert_eq!(made(&gateway, &told, 0).await, "year(date),avg(imports)\r\n2023,111\r\n2024,135\r\n2025,159\r\n");

    let told = result(&mut client, "forecast", &json!({"column": "imports"})).await;
    let expected = [160, 166, 176, 182, 186, 192, 196, 194, 190, 186, 184, 184];
    let points = told["data"]["points"].as_array().unwrap();
    assert_eq!((points.len(), &points[0]["at"], &points[11]["at"]), (12, &json!("2026-01"), &json!("2026-12")));
    for (point, expected) in points.iter().zip(expected) {
        assert!((point["value"].as_f64().unwrap() - f64::from(expected)).abs() < 0.5, "{point}");
    }
    assert_eq!((&told["data"]["model"], &told["data"]["cached"]), (&json!("Holt-Winters, additive"), &json!(false)));
    let chart: Value = serde_json::from_str(&made(&gateway, &told, 0).await).unwrap();
    assert_eq!((&chart["layer"][0]["mark"], &chart["layer"][1]["mark"]), (&json!("area"), &json!("line")));
    assert_eq!(made(&gateway, &told, 1).await.lines().count(), 13);
    let again = result(&mut client, "forecast", &json!({"column": "Imports"})).await;
    assert_eq!((&again["data"]["cached"], &again["data"]["points"]), (&json!(true), &told["data"]["points"]));
    let (_, caches) = gateway.get("/api/v1/admin/cache").await;
    let cache = caches["caches"].as_array().unwrap().iter().find(|cache| cache["name"] == "forecasts").unwrap();
    assert_eq!((&cache["entries"], &cache["hits"], &cache["misses"]), (&json!(1), &json!(1), &json!(1)));

    let told = result(&mut client, "chart", &json!({"kind": "bar", "y": ["imports", "exports"]})).await;
    let chart: Value = serde_json::from_str(&made(&gateway, &told, 0).await).unwrap();
    assert_eq!(chart["data"]["values"].as_array().unwrap().len(), 72, "{told}");
    assert_eq!((&chart["layer"][0]["mark"], &told["artifacts"][0]["kind"]), (&json!("bar"), &json!("chart")));

    // What there is not is told by name.
    let told = result(&mut client, "forecast", &json!({"column": "foo"})).await;
    assert_eq!(told["status"], "error");
    let columns = "date, imports, exports, balance, inflation, unemployment, exchange_rate, remark";
    assert_eq!(told["summary"], format!("There is no column foo. Columns: {columns}"));

    // With one other figure it is another series.
    let changed = String::from_utf8_lossy(TRADE).replace("2025-12,160,", "2025-12,161,");
    assert_ne!(changed.as_bytes(), TRADE);
    upload(&gateway, "changed.csv", changed.as_bytes()).await;
    let told = result(&mut client, "forecast", &json!({"column": "imports"})).await;
    assert_eq!((&told["data"]["cached"], &told["data"]["dataset"]), (&json!(false), &json!("changed.csv")));
    // It outlives the gateway.
    let gateway = gateway.kill().await.start().await;
    let (_, listed) = gateway.get("/api/v1/datasets").await;
    assert_eq!(listed["datasets"].as_array().unwrap().len(), 2, "{listed}");
}

#[tokio::test]
async fn what_is_no_table_is_refused_and_leaves_nothing() {
    let (gateway, mut neighbour) = Neighbour::of_nobody(Setup::bare()).await;
    let archive = |name: &str, content: &[u8]| {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in [("[Content_Types].xml", &b"<Types/>"[..]), (name, content)] {
            zip.start_file(name, SimpleFileOptions::default()).unwrap();
            zip.write_all(content).unwrap();
        }
        zip.finish().unwrap().into_inner()
    };
    let rows: [(&str, Vec<u8>, u16, &str); 8] = [
        ("large.csv", vec![b'1'; 15 << 20], 413, "too_large"),
        ("program.csv", b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0".to_vec(), 415, "type_mismatch"),
        ("program.exe", b"MZ\x90\0".to_vec(), 415, "unsupported_type"),
        ("other.xlsx", archive("notes.txt", b"hello"), 415, "type_mismatch"),
        ("bomb.xlsx", archive("xl/worksheets/sheet1.xml", &vec![b' '; 80 << 20]), 413, "too_large_unpacked"),
        ("wide.csv", vec!["1"; 201].join(",").into_bytes(), 413, "too_large"),
        ("names.csv", b"a,b\n".to_vec(), 400, "empty_text"),
        ("none.csv", Vec::new(), 400, "empty_text"),
    ];
    for (name, bytes, status, code) in rows {
        let (found, problem) = upload(&gateway, name, &bytes).await;
        neighbour.goes_on().await;
        assert_eq!((found, &problem["code"]), (status, &json!(code)), "{name}: {problem}");
    }
    let (_, listed) = gateway.get("/api/v1/datasets").await;
    assert_eq!(listed, json!({"datasets": [], "shared": []}));
    let folder = gateway.setup().data.path().join("data/datasets");
    let left: Vec<_> =
        walkdir::WalkDir::new(&folder).into_iter().flatten().filter(|one| one.file_type().is_file()).collect();
    assert!(left.is_empty(), "{left:?}");
    // A name leads nowhere.
    let (status, about) = upload(&gateway, "../../../etc/passwd.csv", b"a,b\n1,2\n").await;
    assert_eq!((status, &about["name"]), (201, &json!("passwd.csv")));
    let (status, about) = upload(&gateway, "prices.xlsx", PRICES).await;
    assert!(status == 201 && about["rows"].as_u64().unwrap() > 1, "{about}");
    let (status, _) =
        call(&gateway, Method::DELETE, &format!("/datasets/{}", about["id"].as_str().unwrap()), None, Vec::new()).await;
    assert_eq!(status, 204);
    let (status, _) = call(&gateway, Method::DELETE, "/datasets/..%2F..%2Frivulet.db", None, Vec::new()).await;
    assert_eq!(status, 404);
    neighbour.has_all().await;
}

#[tokio::test]
async fn a_table_of_an_old_program_is_read_and_its_cells_are_only_text() {
    let upstream = calling().await;
    let gateway = analysing(Setup::with_upstream(&upstream.url)).start().await;
    let latin = b"Stra\xdfe;Preis;Formel\nM\xfcnchen;1.234,5;=HYPERLINK(\"http://evil\")\nK\xf6ln;2,25;ok\n";
    let (status, about) = upload(&gateway, "preise.csv", latin).await;
    assert_eq!(status, 201, "{about}");
    let names: Vec<_> =
        about["columns"].as_array().unwrap().iter().map(|column| (&column["name"], &column["max"])).collect();
    assert_eq!(names[..2], [(&json!("Straße"), &json!("München")), (&json!("Preis"), &json!(1234.5))]);
    let mut client = Client::connect(&format!("{}?assistant=econ", gateway.socket(""))).await;
    let told = result(&mut client, "dataset", &json!({"select": ["Formel", "Preis"]})).await;
    assert_eq!(told["data"]["rows"][0], json!(["=HYPERLINK(\"http://evil\")", 1234.5]), "{told}");
    let table = made(&gateway, &told, 0).await;
    assert!(table.contains("\"'=HYPERLINK(\"\"http://evil\"\")\",1234.5"), "{table}");
    // Without any question, what there is.
    let told = result(&mut client, "dataset", &json!({})).await;
    assert_eq!(told["summary"], "preise.csv: 2 rows, 3 columns");
    assert_eq!(told["data"]["about_columns"][1]["type"], "real");
    // What is asked with ill will is told as an error, and the gateway goes on.
    for hostile in [
        json!({"select": ["1; DROP TABLE t"]}),
        json!({"agg": ["avg(Preis) FROM t; --"]}),
        json!({"where": [{"column": "Preis' OR '1'='1", "value": 1}]}),
        json!({"select": ["readfile('/etc/passwd')"]}),
    ] {
        let told = result(&mut client, "dataset", &hostile).await;
        assert_eq!(told["status"], "error", "{told}");
    }
    assert_eq!(result(&mut client, "dataset", &json!({"agg": "count"})).await["data"]["rows"], json!([[2]]));
}

#[tokio::test]
async fn what_is_anothers_does_not_exist_and_what_is_the_operators_everybody_asks() {
    let upstream = calling().await;
    let setup = auth::setup().set("RIVULET_LLM_BASE_URL", &upstream.url).set("RIVULET_DATASETS_PER_USER", "2");
    let sample = setup.data.path().join("sample.csv");
    fs::write(&sample, TRADE).unwrap();
    let gateway = analysing(setup).set("RIVULET_DATASETS_PRELOAD", &sample.display().to_string()).start().await;
    let (ann, bob) = (token("ann"), token("bob"));
    let body = || form(&[("file", Some("secret.csv"), b"a,b\n1,2\n")]);
    let (status, about) = call(&gateway, Method::POST, "/datasets", Some(&ann), body()).await;
    assert_eq!(status, 201, "{about}");
    let place = format!("/datasets/{}", about["id"].as_str().unwrap());
    assert_eq!(call(&gateway, Method::POST, "/datasets", None, body()).await.0, 401);
    assert_eq!(call(&gateway, Method::DELETE, &place, Some(&bob), Vec::new()).await.0, 404);
    let (_, listed) = call(&gateway, Method::GET, "/datasets", Some(&bob), Vec::new()).await;
    assert_eq!(listed["datasets"], json!([]));
    let mut client = Client::connect_as(&format!("{}?assistant=econ", gateway.socket("")), &bob).await;
    let told = result(&mut client, "dataset", &json!({"dataset": about["id"]})).await;
    assert!(told["status"] == "error" && !told["summary"].as_str().unwrap().contains("secret"), "{told}");
    // The operator's is read in the background.
    let shared = async || call(&gateway, Method::GET, "/datasets", Some(&bob), Vec::new()).await.1["shared"].clone();
    while shared().await == json!([]) {
        sleep(Duration::from_millis(100)).await;
    }
    let told = result(&mut client, "dataset", &json!({"agg": ["count"]})).await;
    assert_eq!((&told["data"]["rows"], &told["data"]["dataset"]), (&json!([[36]]), &json!("sample.csv")));
    let request = reqwest::Client::new().get(gateway.url("/health")).bearer_auth(&ann);
    let (_, health) = TestGateway::answer(request).await;
    assert_eq!(health["components"]["datasets"], json!([{"name": "sample.csv", "rows": 36, "columns": 8}]), "{health}");
    // As many as there may be.
    assert_eq!(call(&gateway, Method::POST, "/datasets", Some(&ann), body()).await.0, 201);
    let (status, problem) = call(&gateway, Method::POST, "/datasets", Some(&ann), body()).await;
    assert_eq!((status, &problem["code"]), (429, &json!("too_many")), "{problem}");
    assert_eq!(call(&gateway, Method::DELETE, &place, Some(&ann), Vec::new()).await.0, 204);
    assert_eq!(call(&gateway, Method::POST, "/datasets", Some(&ann), body()).await.0, 201);
}
