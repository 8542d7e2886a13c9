use std::path::Path;

use futures_util::FutureExt;
use serde_json::json;

use super::*;
use crate::{
    chat::{CallId, Timestamp},
    config::{Config, Overrides},
    tools::{Newest, Reporter, Shared},
};

/// The tools of an assistant in `tests/assistants`.
fn loan() -> Toolbox {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/assistants");
    let env = [("RIVULET_ASSISTANTS_DIR".to_owned(), folder.display().to_string())];
    let loaded = Config::load(None, env, Overrides::default()).unwrap();
    let loan = loaded.config.offered.iter().find(|one| one.name == "loan").unwrap();
    Toolbox::of(&loan.tools)
}

async fn called(name: &str, arguments: Value) -> Result<Output, String> {
    let toolbox = loan();
    let tool = toolbox.find(name).unwrap();
    let arguments = tool.check(&arguments).map_err(|error| error.to_string())?;
    let search = |_: String| async { None }.boxed();
    let call = CallId::random();
    let context = Context {
        call: &call,
        progress: &Reporter::new(&call, &Newest::default()),
        now: Timestamp(0),
        search: &search,
        owner: None,
        keeps_files: true,
        telling: None,
        shared: &Shared::default(),
    };
    tool.run(&arguments, context).await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn instalments_are_exact_to_the_last_cent() {
    let emi = called("emi", json!({"principal": 500_000, "months": 36})).await.unwrap();
    assert_eq!(emi.data, json!({"emi": 16251.22, "total": 585_043.92, "interest": 85_043.92}));
    assert_eq!(emi.summary, "16,251.22 a month");
    let longer = called("emi", json!({"principal": "500000", "months": 60.0})).await.unwrap();
    assert_eq!(longer.data, json!({"emi": 10746.95, "total": 644_817, "interest": 144_817}));
    let dearer = called("emi", json!({"principal": 300_000, "annual_rate": 12, "months": 24})).await.unwrap();
    assert_eq!(dearer.data["emi"], json!(14122.04));
    let most =
        called("eligibility", json!({"monthly_income": 60_000, "existing_emi": 8_000, "months": 36})).await.unwrap();
    assert_eq!(most.data, json!({"max_emi": 22_000, "max_loan": 676_872.19}));
    assert_eq!(most.summary, "max_emi 22,000.00, max_loan 676,872.19");
    let none =
        called("eligibility", json!({"monthly_income": 10_000, "existing_emi": 8_000, "months": 36})).await.unwrap();
    assert_eq!(none.data, json!({"max_emi": 0, "max_loan": 0}));
}

#[tokio::test]
async fn what_a_model_got_wrong_is_told_by_name() {
    let short = called("emi", json!({"principal": 500_000, "months": 0})).await;
    assert_eq!(short, Err("months: at least 6".to_owned()));
    let divided = called("calc", json!({"expression": "1 / (2 - 2)"})).await;
    assert_eq!(divided, Err("1 / 0 is a division by zero".to_owned()));
    assert!(loan().find("emi2").is_none() && loan().find("").is_none());
}

#[test]
fn a_model_is_told_of_each_in_the_order_of_the_file() {
    let toolbox = loan();
    let specs = toolbox.specs();
    assert_eq!(specs.iter().map(|spec| &*spec.name).collect::<Vec<_>>(), ["calc", "time", "emi", "eligibility"]);
    assert_eq!(specs[2].description, "Exact monthly instalment of a loan.");
    assert_eq!(specs[2].parameters["required"], json!(["principal", "months"]));
    assert_eq!(toolbox.find("time").unwrap().title(), "Date and time");
    assert!((200..1000).contains(&toolbox.tokens()), "{}", toolbox.tokens());
    let none = Toolbox::of(&config::Tools::default());
    assert!(none.specs().is_empty() && none.tokens() == 0);
}
