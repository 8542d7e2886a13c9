use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::datasets::{Every, Found, Query};

const TRADE: &str = "date,country,imports\n2023-01,DE,10\n2023-02,DE,20\n2023-03,FR,\n2024-01,FR,40.5\n";

fn shelf(folder: &TempDir, config: DatasetsConfig) -> Datasets {
    Datasets::of(Some(folder.path().join("datasets")), config, Parsers::in_this_process())
}

async fn dataset() -> (TempDir, Dataset) {
    dataset_of(TRADE).await
}

async fn dataset_of(text: &str) -> (TempDir, Dataset) {
    let folder = TempDir::new().unwrap();
    let shelf = shelf(&folder, DatasetsConfig::default());
    shelf.add(shelf.enter().unwrap(), None, "trade.csv", text.as_bytes()).await.unwrap();
    let dataset = shelf.find(None, None).await.unwrap();
    (folder, dataset)
}

fn ask(dataset: &Dataset, question: &Value) -> Result<Found, String> {
    let Value::Object(question) = question else { panic!("{question}") };
    Query::read(question).and_then(|query| dataset.ask(&query)).map_err(|error| error.to_string())
}

#[tokio::test]
async fn what_was_brought_is_its_owners_until_it_goes() {
    let folder = TempDir::new().unwrap();
    let config = DatasetsConfig { per_user: 2, ..DatasetsConfig::default() };
    let shelf = shelf(&folder, config);
    let (ann, bob) = (Owner::new("north/ann"), Owner::new("../../bob"));
    let first =
        shelf.add(shelf.enter().unwrap(), Some(&ann), "../../../etc/passwd.csv", TRADE.as_bytes()).await.unwrap();
    assert_eq!((&*first.name, first.rows, first.columns.len()), ("passwd.csv", 4, 3));
    let period = first.period.as_ref().unwrap();
    assert_eq!((&*period.from, &*period.to, period.every), ("2023-01", "2024-01", Some(Every::Month)));
    let second = shelf.add(shelf.enter().unwrap(), Some(&ann), "b.csv", b"x;y\n1;2\n").await.unwrap();
    assert_eq!(shelf.add(shelf.enter().unwrap(), Some(&ann), "c.csv", b"x\n1\n").await, Err(DatasetError::TooMany(2)));
    assert_eq!(shelf.find(Some(&ann), None).await.unwrap().about, second, "the newest");
    assert_eq!(shelf.find(Some(&ann), Some("PASSWD")).await.unwrap().about, first);
    let told = shelf.find(Some(&ann), Some("other")).await.unwrap_err().to_string();
    assert_eq!(told, "There is no dataset other. Datasets: b.csv, passwd.csv");
    // Nobody else's.
    assert!(shelf.find(Some(&bob), Some(first.id.as_str())).await.is_err());
    assert_eq!(shelf.delete(Some(&bob), &first.id).await, Ok(false));
    assert_eq!(shelf.delete(Some(&ann), &DatasetId::parse("../d").unwrap()).await, Ok(false));
    assert_eq!(shelf.delete(Some(&ann), &first.id).await, Ok(true));
    assert_eq!(shelf.list(Some(&ann)).await.unwrap().0.len(), 1);
    // Places are given back, whatever comes of a file.
    assert_eq!(shelf.coming_in.available_permits(), MAX_COMING_IN);
    // What is refused leaves nothing.
    assert!(shelf.add(shelf.enter().unwrap(), Some(&bob), "x.csv", b"a,b\n").await.is_err());
    assert!(shelf.add(shelf.enter().unwrap(), Some(&bob), "x.exe", b"a,b\n1,2").await.is_err());
    assert!(all_in(&shelf.folder_of(Some(&bob)).unwrap()).unwrap().is_empty());
    let files = |owner: &Owner| fs::read_dir(shelf.folder_of(Some(owner)).unwrap()).map_or(0, Iterator::count);
    assert_eq!((files(&ann), files(&bob)), (2, 0));
    // It goes after its days.
    let about = shelf.folder_of(Some(&ann)).unwrap().join(format!("{}.json", second.id));
    let old = About { created_at: Timestamp(0), ..second };
    fs::write(&about, serde_json::to_vec(&old).unwrap()).unwrap();
    assert!(shelf.list(Some(&ann)).await.unwrap().0.is_empty());
    // What else lies there does not keep it, and it takes nobody's place.
    for at in ["0", "z"] {
        fs::write(folder.path().join("datasets").join(at), "").unwrap();
    }
    for name in ["d.csv", "e.csv"] {
        shelf.add(shelf.enter().unwrap(), Some(&ann), name, b"x\n1\n").await.unwrap();
    }
    shelf.sweep().await;
    assert_eq!(files(&ann), 4);
}

#[tokio::test]
async fn the_operators_are_everybodys_and_cost_nothing_the_second_time() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("trade.csv");
    fs::write(&file, TRADE).unwrap();
    let config =
        DatasetsConfig { preload: vec![file.clone(), folder.path().join("none.csv")], ..DatasetsConfig::default() };
    let first = shelf(&folder, config.clone());
    first.preload().await;
    let id = first.find(None, None).await.unwrap().about.id;
    let again = shelf(&folder, config);
    again.preload().await;
    assert_eq!(again.find(Some(&Owner::new("north/ann")), Some("trade")).await.unwrap().about.id, id);
    fs::write(&file, format!("{TRADE}2024-02,FR,1\n")).unwrap();
    again.preload().await;
    assert_eq!(again.preloaded()[0].about.rows, 5);
    assert_eq!(all_in(&folder.path().join("datasets/preloaded")).unwrap().len(), 1, "the other one is gone");
}

#[tokio::test]
async fn gateways_share_a_folder_and_leave_each_others_operators_alone() {
    let folder = TempDir::new().unwrap();
    let config = |name: &str| {
        let file = folder.path().join(name);
        fs::write(&file, TRADE).unwrap();
        DatasetsConfig { dir: Some(folder.path().join("shared")), preload: vec![file], ..DatasetsConfig::default() }
    };
    let kept = |name: &str| Datasets {
        parsers: Parsers::in_this_process(),
        ..Datasets::kept(&config(name), &folder.path().join(format!("data of {name}")), true)
    };
    let (first, second) = (kept("a.csv"), kept("b.csv"));
    first.preload().await;
    second.preload().await;
    for (shelf, name) in [(&first, "a.csv"), (&second, "b.csv")] {
        let dataset = shelf.find(None, None).await.unwrap();
        assert_eq!((&*dataset.about.name, ask(&dataset, &json!({})).unwrap().rows.len()), (name, 4));
    }
    // What somebody brings to the one is asked of the other.
    let brought = first.add(first.enter().unwrap(), None, "c.csv", b"x;y\n1;2\n").await.unwrap();
    assert_eq!(second.find(None, None).await.unwrap().about, brought);
}

#[tokio::test]
async fn questions_are_answered() {
    let (_folder, dataset) = dataset().await;
    let rows = [
        (
            json!({}),
            json!([["2023-01", "DE", 10], ["2023-02", "DE", 20], ["2023-03", "FR", null], ["2024-01", "FR", 40.5]]),
        ),
        (json!({"select": ["Imports"], "order": "imports desc", "limit": 1}), json!([[40.5]])),
        (json!({"group_by": "year(date)", "agg": ["avg(imports)"]}), json!([["2023", 15], ["2024", 40.5]])),
        (json!({"group_by": ["quarter(date)"], "agg": [{"fn": "count"}]}), json!([["2023-Q1", 3], ["2024-Q1", 1]])),
        (json!({"agg": "sum(imports), x"}), json!(null)),
        (json!({"agg": r#"["median(imports)", "count(imports)", "max(date)"]"#}), json!([[20, 3, "2024-01"]])),
        (json!({"where": {"country": "fr"}, "agg": ["count"]}), json!([[2]])),
        (
            json!({"where": [{"column": "date", "op": ">=", "value": "2023-02-01"}], "select": "date"}),
            json!([["2023-02"], ["2023-03"], ["2024-01"]]),
        ),
        (json!({"where": [{"column": "date", "value": 2023}], "agg": ["count"]}), json!([[3]])),
        (json!({"where": [{"column": "date", "op": "<", "value": "2023-Q1"}], "agg": ["count"]}), json!(null)),
        (json!({"where": [{"column": "country", "op": "in", "value": ["DE", "IT"]}], "agg": "count"}), json!([[2]])),
        (
            json!({"where": [{"column": "date", "op": "in", "value": ["2023-02", 2024]}], "select": "date"}),
            json!([["2023-02"], ["2024-01"]]),
        ),
        (
            json!({"where": [{"column": "imports", "op": "in", "value": (1..=100).collect::<Vec<_>>()}], "agg": "count"}),
            json!([[2]]),
        ),
        (
            json!({"where": vec![json!({"column": "country", "op": "in", "value": vec!["fr"; 100]}); 9], "agg": "count"}),
            json!([[2]]),
        ),
        (json!({"where": [{"column": "imports", "op": "missing"}], "select": ["date"]}), json!([["2023-03"]])),
        (
            json!({"group_by": "country", "select": ["sum(imports)"], "order": ["-sum(imports)"]}),
            json!([["FR", 40.5], ["DE", 30]]),
        ),
        (json!({"group_by": ["country"]}), json!([["DE", 2], ["FR", 2]])),
    ];
    for (question, expected) in rows {
        match ask(&dataset, &question) {
            Ok(found) => assert_eq!(json!(found.rows), expected, "{question}"),
            Err(error) => assert!(expected.is_null(), "{question}: {error}"),
        }
    }
    let told = ask(&dataset, &json!({"select": ["foo"]})).unwrap_err();
    assert_eq!(told, "There is no column foo. Columns: date, country, imports");
    assert!(ask(&dataset, &json!({"limit": 2})).unwrap().more);
}

#[tokio::test]
async fn quarters_are_compared_with_quarters_and_years() {
    let (_folder, dataset) = dataset_of("date,x\n2023-Q4,1\n2024-Q1,2\n2024-Q2,3\n").await;
    for (op, value, expected) in [(">=", "2024q1", 2), ("<", "2024", 1), ("=", "2024", 2)] {
        let question = json!({"where": [{"column": "date", "op": op, "value": value}], "agg": ["count"]});
        assert_eq!(ask(&dataset, &question).unwrap().rows, [[json!(expected)]], "{op} {value}");
    }
    for value in ["2024-07", "2024-07-01"] {
        let told = ask(&dataset, &json!({"where": [{"column": "date", "op": "<", "value": value}]})).unwrap_err();
        assert_eq!(told, format!("date has quarters, and \"{value}\" is none: write 2024-Q1"));
    }
}

#[tokio::test]
async fn texts_are_found_in_any_case_of_their_letters() {
    let (_folder, dataset) = dataset_of("city,people\nÖREBRO,1250\nÅrhus,2\nΟΔΟΣ ΑΒ,3\n,4\n").await;
    let rows =
        [("city", "öre", "ÖREBRO"), ("city", "ÅRH", "Århus"), ("city", "οδοσ", "ΟΔΟΣ ΑΒ"), ("people", "25", "ÖREBRO")];
    for (column, value, expected) in rows {
        let question = json!({"where": [{"column": column, "op": "contains", "value": value}], "select": ["city"]});
        assert_eq!(ask(&dataset, &question).unwrap().rows, [[json!(expected)]], "{value}");
    }
}

#[tokio::test]
async fn a_result_has_one_row_however_long_it_is() {
    let names: Vec<String> = (0..200).map(|at| format!("n{at}")).collect();
    let row = vec!["x".repeat(450); 200].join(",");
    let (_folder, dataset) = dataset_of(&format!("{}\n{row}\n{row}\n", names.join(","))).await;
    let found = ask(&dataset, &json!({})).unwrap();
    assert_eq!((found.rows.len(), found.rows[0].len(), found.more), (1, 200, true));
}

#[tokio::test]
async fn hostile_questions_are_refused_or_harmless() {
    let (_folder, dataset) = dataset().await;
    let mut deep = json!({"column": "country", "value": "x"});
    (0..50).for_each(|_| deep = json!({"column": "country", "op": "in", "value": [deep.clone()]}));
    let questions = [
        json!({"select": ["c0"]}),
        json!({"select": ["*"]}),
        json!({"select": ["imports; DROP TABLE t"]}),
        json!({"select": ["\"imports\""]}),
        json!({"select": ["imports FROM t; --"]}),
        json!({"select": ["(SELECT sql FROM sqlite_master)"]}),
        json!({"select": ["load_extension(imports)"]}),
        json!({"select": ["randomblob(imports)"]}),
        json!({"select": ["sqlite_version(date)"]}),
        json!({"agg": ["avg(imports) FROM t UNION SELECT 1"]}),
        json!({"agg": [{"fn": "avg(imports), sum", "column": "imports"}]}),
        json!({"agg": [{"fn": "avg", "column": "imports) --"}]}),
        json!({"agg": ["avg(country)"]}),
        json!({"agg": ["median(date)"]}),
        json!({"group_by": ["1"]}),
        json!({"group_by": ["avg(imports)"]}),
        json!({"group_by": ["year(imports)"]}),
        json!({"order": ["imports; PRAGMA writable_schema = 1"]}),
        json!({"order": ["random()"]}),
        json!({"where": [{"column": "1 = 1 OR imports", "value": 1}]}),
        json!({"where": [{"column": "imports", "op": "= 1 OR 1 =", "value": 1}]}),
        json!({"where": [{"column": "imports", "value": "1 OR 1 = 1"}]}),
        json!({"where": [{"column": "imports", "value": {"$gt": 0}}]}),
        json!({"where": [{"column": "date", "value": "2023' OR '1' = '1"}]}),
        json!({"where": "imports > 1"}),
        json!({"where": [deep]}),
        json!({"where": vec![json!({"column": "imports", "value": 1}); 33]}),
        json!({"select": vec!["imports"; 33]}),
        json!({"select": ["x".repeat(2000)]}),
        json!({"select": 5}),
        json!({"limit": -1}),
        json!({"limit": "all"}),
    ];
    for question in &questions {
        let told = ask(&dataset, question).expect_err(&question.to_string());
        assert!(told.len() < 700 && !told.contains("SQL"), "{question}: {told}");
    }
    // These are values like any other.
    let harmless = [
        json!({"where": [{"column": "country", "value": "x' OR '1' = '1"}], "agg": "count"}),
        json!({"where": [{"column": "country", "op": "contains", "value": "%' OR 1 = 1 --"}], "agg": "count"}),
        json!({"where": [{"column": "country", "op": "in", "value": ["'); DROP TABLE t; --"]}], "agg": "count"}),
    ];
    for question in &harmless {
        assert_eq!(ask(&dataset, question).unwrap().rows, [[json!(0)]], "{question}");
    }
    assert_eq!(ask(&dataset, &json!({"limit": 1_000_000})).unwrap().rows.len(), 4);
    // Even who could write SQL could do nothing but read.
    let connection = dataset.connect().unwrap();
    assert!(connection.execute_batch("DELETE FROM t").is_err());
}

#[tokio::test]
async fn names_of_columns_are_only_names() {
    let folder = TempDir::new().unwrap();
    let shelf = shelf(&folder, DatasetsConfig::default());
    let text = "\"a\"\"b\",\"'; DROP TABLE t; --\",c0,\"=cmd|' /C calc'!A0\"\n1,2,3,4\n";
    shelf.add(shelf.enter().unwrap(), None, "x.csv", text.as_bytes()).await.unwrap();
    let dataset = shelf.find(None, None).await.unwrap();
    let found = ask(&dataset, &json!({"select": ["'; DROP TABLE t; --", "a\"b", "c0"], "order": ["c0"]})).unwrap();
    assert_eq!(found.rows, [[json!(2), json!(1), json!(3)]]);
}
