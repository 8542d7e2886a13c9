//! Which models answer: the short form, the names of the field, and the list.

use super::{from_both, from_env, from_file, refused};
use crate::config::{Secret, TargetSettings};

fn target(pairs: &[(&str, &str)]) -> (Option<String>, Option<String>, Option<String>) {
    let llm = from_env(pairs).expect("fine").config.llm;
    (llm.base_url, llm.api_key.map(|key| key.expose().to_owned()), llm.model)
}

#[test]
fn the_model_is_chosen_in_the_documented_order() {
    let some = |url: &str, key: Option<&str>, model: &str| {
        (Some(url.to_owned()), key.map(str::to_owned), Some(model.to_owned()))
    };
    let groq = ("GROQ_API_KEY", "gsk");
    let openai = ("OPENAI_API_KEY", "sk");
    let local = ("OPENAI_BASE_URL", "http://localhost:11434/v1/");
    let own = ("RIVULET_LLM_BASE_URL", "https://own.example/v1");
    let model = ("RIVULET_LLM_MODEL", "m");
    let (groq_url, openai_url) = ("https://api.groq.com/openai/v1", "https://api.openai.com/v1");
    assert_eq!(target(&[]), (None, None, None));
    assert_eq!(target(&[groq]), some(groq_url, Some("gsk"), "llama-3.3-70b-versatile"));
    assert_eq!(target(&[groq, openai, model]), some(groq_url, Some("gsk"), "m"));
    assert_eq!(target(&[openai]), some(openai_url, Some("sk"), "gpt-4o-mini"));
    assert_eq!(target(&[local, groq]), some("http://localhost:11434/v1", None, "gpt-4o-mini"));
    assert_eq!(target(&[local, openai]), some("http://localhost:11434/v1", Some("sk"), "gpt-4o-mini"));
    // A key goes only where it belongs.
    assert_eq!(target(&[own, local, groq, openai]), some("https://own.example/v1", None, "gpt-4o-mini"));
    let own_key = ("RIVULET_LLM_API_KEY", "mine\n");
    assert_eq!(target(&[own_key, openai, groq]), some(openai_url, Some("mine"), "gpt-4o-mini"));
    assert_eq!(target(&[own_key, local, openai]), some("http://localhost:11434/v1", Some("mine"), "gpt-4o-mini"));
}

/// What the targets of a file come to.
fn settled(text: &str, pairs: &[(&str, &str)]) -> Vec<TargetSettings> {
    from_both(text, pairs).expect("fine").config.llm.settled_targets().expect("settled")
}

#[test]
fn targets_are_listed_in_order_and_presets_know_the_rest() {
    let file = r#"
        [llm]
        gap_s = 7
        [[llm.targets]]
        preset = "groq"
        first_token_s = 2
        [[llm.targets]]
        name = "local"
        base_url = "http://127.0.0.1:9/v1/"
        model = "m"
        api_key_env = "MY_KEY"
        headers = { "X-Team" = "blue" }
        strip = ["stream_options"]
        continue = true
        tools = false
        weight = 3
        input_price = 1
        [[llm.targets]]
        base_url = "https://api.groq.com/openai/v1"
        model = "other"
    "#;
    let env = [("GROQ_API_KEY", "gsk"), ("MY_KEY", "mine"), ("OPENAI_API_KEY", "sk")];
    let targets = settled(file, &env);
    let names: Vec<_> = targets.iter().map(|target| target.name.as_str()).collect();
    assert_eq!(names, ["groq", "local", "api.groq.com"]);
    let [groq, local, other] = &targets[..] else { panic!("{targets:?}") };
    assert_eq!(
        (groq.base_url.as_str(), groq.model.as_str()),
        ("https://api.groq.com/openai/v1", "llama-3.3-70b-versatile")
    );
    assert!(
        ["logprobs", "logit_bias", "n", "messages[].name"].iter().all(|name| groq.strip.contains(&name.to_string()))
    );
    assert_eq!(groq.api_key, Some(Secret::new("gsk")));
    assert_eq!((groq.first_token_s, groq.gap_s, groq.total_s, groq.continues), (2.0, 7.0, 300.0, false));
    assert_eq!((local.base_url.as_str(), &local.api_key), ("http://127.0.0.1:9/v1", &Some(Secret::new("mine"))));
    assert_eq!(
        (local.strip.as_slice(), local.continues, local.prices),
        (&["stream_options".to_owned()][..], true, Some((1.0, 0.0)))
    );
    assert_eq!((groq.tools, local.tools), (true, false));
    assert_eq!((groq.weight, local.weight), (None, Some(3.0)));
    assert_eq!(local.headers["X-Team"].expose(), "blue");
    assert_eq!(other.api_key, None, "a key goes to an address that was written out only when it is named there");
    assert_eq!(other.strip, groq.strip, "a known address has its habits with and without the preset");
}

#[test]
fn targets_can_come_from_the_environment_and_replace_the_short_form() {
    let json = r#"[{"preset":"ollama","model":"qwen3"},{"preset":"vllm","model":"m","gap_s":3}]"#;
    let targets = settled("", &[("RIVULET_LLM_TARGETS", json), ("GROQ_API_KEY", "gsk")]);
    assert_eq!(targets.len(), 2);
    assert_eq!((targets[0].base_url.as_str(), targets[1].gap_s), ("http://127.0.0.1:11434/v1", 3.0));
    refused(from_env(&[("RIVULET_LLM_TARGETS", "ollama")]), &["RIVULET_LLM_TARGETS", "JSON"]);
    let both = [("RIVULET_LLM_TARGETS", json), ("RIVULET_LLM_MODEL", "m")];
    refused(from_env(&both), &["RIVULET_LLM_MODEL", "llm.model", "llm.targets"]);
    let own = r#"[{"preset":"llama.cpp"}]"#;
    let warnings = from_env(&[("RIVULET_LLM_TARGETS", own)]).expect("fine").warnings.join("");
    assert!(warnings.contains("llama.cpp is the gateway's own address"), "{warnings}");
}

#[test]
fn what_is_wrong_in_a_target_is_named_with_its_line() {
    let good = "[[llm.targets]]\npreset = \"groq\"\n";
    for (bad, parts) in [
        ("preset = \"grok\"", ["rivulet.toml:4", "llm.targets[2].preset", "one of groq, openai"]),
        ("base_ulr = \"http://h\"", ["rivulet.toml:4", "llm.targets[2].base_ulr", "`base_url`"]),
        ("gap_s = 0", ["rivulet.toml:4", "llm.targets[2].gap_s", "a number from 0.001"]),
        ("strip = \"n\"", ["rivulet.toml:4", "llm.targets[2].strip", "a list of texts"]),
        ("headers = { \"a b\" = \"x\" }", ["rivulet.toml:4", "llm.targets[2].headers", "header names"]),
        ("headers = { Host = \"x\" }", ["rivulet.toml:4", "llm.targets[2].headers", "header names"]),
        ("preset = \"groq\"", ["rivulet.toml", "llm.targets[2].name", "different"]),
        ("model = \"m\"", ["rivulet.toml", "llm.targets[2].base_url", "preset"]),
        ("preset = \"ollama\"", ["rivulet.toml", "llm.targets[2].model", "name at the server"]),
        ("preset = \"vllm\"\napi_key_env = \"NO\"", ["rivulet.toml", "llm.targets[2].api_key_env", "variable"]),
        ("base_url = \"http://u:hunter2@h\"\nmodel = \"m\"", ["rivulet.toml", "llm.targets[2].base_url", "user"]),
        (
            "preset = \"groq\"\nname = \"a\"\napi_key = \"hunter2 x\"",
            ["rivulet.toml", "llm.targets[2].api_key", "ASCII"],
        ),
    ] {
        let outcome = from_file(&format!("{good}[[llm.targets]]\n{bad}"));
        if let Err(error) = &outcome {
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
        refused(outcome, &parts);
    }
    refused(from_file("[llm]\ntargets = [1]"), &["rivulet.toml:2", "llm.targets[1]", "a table"]);
    refused(from_file("[llm]\ntargets = \"groq\""), &["rivulet.toml:2", "llm.targets", "a list of tables"]);
}
