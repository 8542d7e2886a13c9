use tempfile::TempDir;

use super::*;
use crate::config::{DrawnBy, Facts, KnowledgeMode, TargetConfig};

fn folder(files: &[(&str, &str)]) -> (TempDir, AssistantsConfig) {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    let config = AssistantsConfig { dir: dir.path().to_owned(), ..AssistantsConfig::default() };
    (dir, config)
}

fn read_all(files: &[(&str, &str)]) -> Result<Vec<Assistant>, String> {
    let (dir, config) = folder(files);
    let target = TargetConfig {
        name: Some("own".to_owned()),
        base_url: Some("http://127.0.0.1:1/v1".to_owned()),
        model: Some("m".to_owned()),
        ..TargetConfig::default()
    };
    let llm = LlmConfig { targets: vec![target], ..LlmConfig::default() };
    read(&config, &llm, &[], &BTreeMap::new())
        .map_err(|refusal| refusal.to_string().replace(&dir.path().display().to_string(), "DIR"))
}

fn title(text: &str) -> Option<Localized<String>> {
    Some(Localized::Same(text.to_owned()))
}

fn told(assistant: &Assistant) -> Option<String> {
    let facts = Facts { today: "2026-11-27", tenant: None, user: None };
    assistant.prompt.as_ref().map(|prompt| prompt.fill(&facts))
}

#[test]
fn a_prompt_is_filled_in_and_what_nobody_knows_is_told_by_its_line() {
    let file = "languages = [\"de\"]\n[prompt]\nvars = { shop = \"Zelte\" }";
    let text = "You sell {{ shop }} on {{ today }}, in {{ language }}.";
    let found = read_all(&[("a.toml", file), ("a.md", text)]).unwrap();
    assert_eq!(told(&found[0]).as_deref(), Some("You sell Zelte on 2026-11-27, in de."));
    let mut wrong = vec![(
        file,
        "\nHi\n{{ shp }}",
        "DIR/a.md:3: what stands in {{ }} must be one of today, language, tenant, user, shop, but is shp",
    )];
    for (vars, expected) in [
        ("{ a = 1 }", "DIR/a.toml:2: prompt.vars must be texts of at most 1000 characters, but is the text \"1\""),
        ("{ \"a b\" = \"x\" }", "prompt.vars must be names of 1 to 40 of the characters"),
        ("{ user = \"x\" }", "none of today, language, tenant, user, but is the text \"user\""),
        ("1", "prompt.vars must be a table"),
    ] {
        wrong.push((Box::leak(format!("[prompt]\nvars = {vars}").into_boxed_str()), "x", expected));
    }
    let many = format!("[prompt]\nvars = {{ a = \"{}\" }}", "x".repeat(1000));
    let nine = "{{ a }}".repeat(9);
    wrong.push((
        &many,
        &nine,
        "prompt.vars must be such that the prompt has at most 8192 bytes, but is the text \"9000 bytes\"",
    ));
    for (file, text, expected) in wrong {
        let told = read_all(&[("a.toml", file), ("a.md", text)]).expect_err(file);
        assert!(told.contains(expected), "{told}");
    }
}

#[test]
fn a_file_is_an_assistant_with_the_prompt_beside_it() {
    let file = r#"
        title = "Books"
        suggestions = ["Which books are new?"]
        languages = ["en", "pt-BR"]
        visibility = "tenant:shop"
        [model]
        targets = ["own"]
        temperature = 0
        [knowledge]
        collections = ["books", "authors"]
        only_grounded = true
    "#;
    let found = read_all(&[("books.toml", file), ("books.md", "You sell books.\n"), ("notes.txt", "x")]).unwrap();
    let names: Vec<_> = found.iter().map(|assistant| &*assistant.name).collect();
    assert_eq!(names, ["books"]);
    let books = &found[0];
    assert_eq!((&books.about.title, told(books).as_deref()), (&title("Books"), Some("You sell books.")));
    assert_eq!(books.visibility, Visibility::Tenant("shop".to_owned()));
    assert_eq!((books.model.temperature, &*books.knowledge.collections[1]), (Some(0.0), "authors"));
    assert!(books.knowledge.only_grounded && books.knowledge.mode == KnowledgeMode::Always);
    // Any difference in either file is another version.
    let other = read_all(&[("books.toml", file), ("books.md", "You sell old books.")]).unwrap();
    assert_ne!(books.version, other[0].version);
    assert_eq!(books.version.len(), 12);
}

#[test]
fn a_variant_is_the_file_with_what_it_sets() {
    let file = r#"
        [model]
        temperature = 0.5
        top_p = 0.5
        [experiment]
        name = "brief"
        by = "session"
        [[variant]]
        name = "short"
        share = 0.7
        set = { "prompt.file" = "short.md", "model.temperature" = 0.1, "knowledge.mode" = "off" }
        [[variant]]
        name = "same"
        share = 0.3
    "#;
    let found = read_all(&[("a.toml", file), ("a.md", "Long."), ("short.md", "Short.")]).unwrap();
    let [all] = &*found else { panic!("{found:?}") };
    assert_eq!((told(all).as_deref(), all.model.temperature, all.variant.as_deref()), (Some("Long."), Some(0.5), None));
    assert_eq!((&*all.experiment.name, all.experiment.by), ("brief", DrawnBy::Session));
    let [short, same] = &*all.variants else { panic!("{:?}", all.variants) };
    let (share, short) = (short.share, &short.assistant);
    assert_eq!((share, &*short.name, short.variant.as_deref()), (0.7, "a", Some("short")));
    assert_eq!((told(short).as_deref(), short.model.temperature), (Some("Short."), Some(0.1)));
    assert_eq!((short.model.top_p, short.knowledge.mode), (Some(0.5), KnowledgeMode::Off));
    let same = &same.assistant;
    assert_eq!((told(same).as_deref(), same.model.temperature), (Some("Long."), Some(0.5)));
    assert!(all.version != short.version && all.version != same.version && short.version != same.version);
    let other = read_all(&[("a.toml", file), ("a.md", "Long."), ("short.md", "Shorter.")]).unwrap();
    assert_eq!(other[0].version, all.version);
    assert_ne!(other[0].variants[0].assistant.version, short.version);
}

#[test]
fn whoever_is_the_default_must_be_there() {
    assert_eq!(read_all(&[]).unwrap(), []);
    let own = read_all(&[("default.toml", "title = \"Ours\"")]).unwrap();
    assert_eq!((own.len(), &own[0].about.title), (1, &title("Ours")));
    let (_dir, config) = folder(&[("a.toml", "")]);
    let of = |default: &str| {
        read(
            &AssistantsConfig { default: default.to_owned(), ..config.clone() },
            &LlmConfig::default(),
            &[],
            &BTreeMap::new(),
        )
    };
    assert_eq!(of("a").unwrap().len(), 1);
    let (_own, hidden) = folder(&[("default.toml", "visibility = \"scope:staff\"")]);
    let told = read(&hidden, &LlmConfig::default(), &[], &BTreeMap::new()).unwrap_err().to_string();
    assert!(told.starts_with("assistants.default: default is not for everybody"), "{told}");
    assert!(of("b").unwrap_err().to_string().starts_with("assistants.default: there is no b.toml in "));
    let elsewhere = AssistantsConfig { dir: "/nowhere/at/all".into(), ..config.clone() };
    assert!(
        read(&elsewhere, &LlmConfig::default(), &[], &BTreeMap::new()).is_err(),
        "a folder that was named must be there"
    );
}

#[test]
fn what_is_wrong_is_told_by_file_line_and_key_and_all_of_it_at_once() {
    let long = "x".repeat(MAX_SUGGESTION + 1);
    let rows: Vec<(&str, String, &str)> = vec![
        ("a.toml", "titel = \"A\"".into(), "DIR/a.toml:1: there is no setting `titel`; the nearest one is `title`"),
        ("a.toml", "[modl]".into(), "there is no setting `modl`; the nearest one is `model."),
        ("a.toml", "\n[model]\ntemperature = 3".into(), "DIR/a.toml:3: model.temperature must be a number from 0 to 2"),
        (
            "a.toml",
            "[model]\ntargets = [\"else\"]".into(),
            "model.targets must be names of llm.targets (own), but is the text \"else\"",
        ),
        ("a.toml", "visibility = \"me\"".into(), "DIR/a.toml:1: visibility must be `everybody`"),
        ("a.toml", "visibility = \"tenant:\"".into(), "visibility must be"),
        ("a.toml", "languages = [\"en_US\"]".into(), "languages must be a list of language tags"),
        ("a.toml", format!("suggestions = [\"{long}\"]"), "suggestions must be of at most 200 characters each"),
        (
            "a.toml",
            format!("greeting = \"{}\"", "x".repeat(MAX_GREETING + 1)),
            "greeting must be of at most 2000 characters",
        ),
        (
            "a.toml",
            "[knowledge]\ncollections = [\"../x\"]".into(),
            "knowledge.collections must be names of collections",
        ),
        (
            "a.toml",
            "[prompt]\nfile = \"../b.md\"".into(),
            "DIR/a.toml:2: prompt.file must be the name of a file beside this one",
        ),
        ("a.toml", "[prompt]\nfile = \"/etc/passwd\"".into(), "prompt.file must be the name of a file beside this one"),
        (
            "a.toml",
            "[knowledge]\ncollections = []".into(),
            "knowledge.collections must be 1 to 8, but is the text \"0 of them\"",
        ),
        ("a.toml", "[knowledge]\ncollections = [\"a\", \"a\"]".into(), "knowledge.collections must be each named once"),
        ("a.toml", "[knowledge]\nmode = \"off\"\nonly_grounded = true".into(), "knowledge.only_grounded must be false"),
        ("a.toml", "[prompt]\nfile = \"b.md\"".into(), "cannot read the configuration file DIR/b.md"),
        (
            "a.toml",
            "\n[[variant]]\nname = \"b\"\nset = { \"model.temprature\" = 1 }".into(),
            "DIR/a.toml:4: there is no setting `model.temprature`; the nearest one is `model.temperature`",
        ),
        (
            "a.toml",
            "[[variant]]\nname = \"b\"\n[variant.set]\n\"model.top_p\" = 0.1\n\"model.temperature\" = 3".into(),
            "DIR/a.toml:5: model.temperature must be a number from 0 to 2, but is the number 3",
        ),
        (
            "a.toml",
            "[[variant]]\nname = \"b\"\nset = { \"model.targets\" = [\"else\"] }".into(),
            "DIR/a.toml:3: model.targets must be names of llm.targets (own), but is the text \"else\"",
        ),
        (
            "a.toml",
            "[[variant]]\nname = \"b\"\nset = { title = \"B\" }".into(),
            "DIR/a.toml:3: there is no setting `title`",
        ),
        ("a.toml", "[[variant]]\nname = \"b\"\nset = { \"prompt.file\" = \"b.md\" }".into(), "file DIR/b.md"),
        (
            "a.toml",
            "[[variant]]\nshare = 0.5".into(),
            "DIR/a.toml:1: variant[1].name must be 1 to 40 of the characters",
        ),
        (
            "a.toml",
            "[[variant]]\nname = \"b\"\nshare = 50".into(),
            "DIR/a.toml:3: variant[1].share must be a number from 0 to 1",
        ),
        (
            "a.toml",
            "[[variant]]\nname = \"b\"\nshare = 0.5\n[[variant]]\nname = \"b\"\nshare = 0.75".into(),
            "DIR/a.toml:5: variant[2].name must be another name than those of the others, but is \"b\" again\nDIR/a.toml:6: \
             variant[2].share must be at most 1 together with those before it, but is 1.25",
        ),
        (
            "a.toml",
            "[[variant]]\nnam = \"b\"".into(),
            "variant[1].nam must be a setting of a variant (the nearest one is `name`)",
        ),
        ("a.toml", "[experiment]\nby = \"day\"".into(), "experiment.by must be one of user, session"),
        (
            "a.toml",
            "languages = [\"en\"]\ngreeting = { en = \"Hi\", de = \"Hallo\" }".into(),
            "DIR/a.toml:2: greeting must be in languages that are in `languages`, but is the text \"de\"",
        ),
        ("a.toml", "greeting = { en = \"Hi\" }".into(), "greeting must be in languages that are in `languages`"),
        (
            "a.toml",
            "languages = [\"en\", \"de\"]\ntitle = { de = \"Hallo\" }".into(),
            "DIR/a.toml:2: title must be in en, too, the first of `languages`, but is the text \"de\"",
        ),
        ("a.toml", "languages = [\"en\"]\ntitle = { en = 1 }".into(), "title must be one line of at most 256 bytes"),
        (
            "a.toml",
            format!("languages = [\"en\"]\nsuggestions = {{ en = [\"{long}\"] }}"),
            "suggestions must be of at most 200 characters each",
        ),
        ("a.toml", "title = ".into(), "DIR/a.toml:1:"),
        ("A b.toml", String::new(), "the name of the file must be 1 to 40 of the characters a-z, 0-9 and -"),
    ];
    for (name, text, expected) in rows {
        let told = read_all(&[(name, &text)]).expect_err(&text);
        assert!(told.contains(expected), "{text}: {told}");
    }
    let both = read_all(&[("a.toml", "titel = \"A\"\n[history]\nmessages = 0"), ("b.toml", "x = 1")]).unwrap_err();
    assert_eq!(both.lines().count(), 3, "{both}");
    let empty = read_all(&[("a.toml", ""), ("a.md", " \n")]).unwrap_err();
    assert!(empty.contains("there is nothing in it"), "{empty}");
    let long = read_all(&[("a.toml", ""), ("a.md", &"x".repeat(MAX_PROMPT + 1))]).unwrap_err();
    assert!(long.contains("a prompt has at most 8192 bytes, and this one 8193"), "{long}");
}

#[test]
fn the_template_of_a_document_is_part_of_the_assistant() {
    const FILE: &str = include_str!("../../../tests/assistants/bank.toml");
    const LETTER: &str = include_str!("../../../tests/assistants/letter.txt");
    let read = |file: &str, letter: &str| read_all(&[("bank.toml", file), ("letter.txt", letter)]);
    let version = |letter: &str| read(FILE, letter).unwrap()[0].version.clone();
    assert_eq!(version(LETTER), version(LETTER));
    assert_ne!(version(LETTER), version(&format!("{LETTER}\nP.S.")));
    let long = "x".repeat(40_000);
    let rows = [
        (
            "letter.txt\"",
            "letter.txt\"",
            "Dear\n{nam}",
            "letter.txt:2: tool.sanction_letter.template must be names of inputs and results alone in braces, or `today` \
             (there is no `nam`; the nearest one is `name`)",
        ),
        (
            "letter.txt\"",
            "letter.txt\"",
            "प्रिय {name}",
            "letter.txt:1: tool.sanction_letter.template must be letters of Western",
        ),
        ("letter.txt\"", "letter.txt\"", &long, "a template has at most 32768 bytes, and this one 40000"),
        ("letter.txt\"", "lost.txt\"", LETTER, "lost.txt"),
        (
            "letter.txt\"",
            "../letter.txt\"",
            LETTER,
            "tool.sanction_letter.template must be the name of a file beside this one",
        ),
        ("effect = \"read\"", "", LETTER, "tool.sanction_letter.effect must be read or write"),
        ("format = \"pdf\"", "format = \"docx\"", LETTER, "tool.sanction_letter.format must be one of pdf"),
        (
            "format = \"pdf\"",
            "url = \"http://a\"",
            LETTER,
            "tool.sanction_letter.url must be left out where kind is document",
        ),
        (
            "kind = \"document\"",
            "kind = \"formula\"",
            LETTER,
            "tool.sanction_letter.template must be left out where kind is formula",
        ),
    ];
    for (from, to, letter, expected) in rows {
        let told = read(&FILE.replace(from, to), letter).expect_err(to);
        assert!(told.contains(expected), "{to}: {told}");
    }
}
