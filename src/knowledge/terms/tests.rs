use proptest::prelude::*;

use super::*;

fn found(text: &str, question: &str) -> bool {
    let there = indexed(text, Language::of(text));
    let there: HashSet<&str> = there.split(' ').collect();
    asked(question).iter().any(|term| there.contains(term.as_str()))
}

fn terms(text: &str) -> Vec<String> {
    indexed(text, Language::of(text)).split_ascii_whitespace().map(str::to_owned).collect()
}

#[test]
fn english_words_lose_capitals_accents_endings_and_the_small_ones() {
    assert_eq!(
        terms("The Kestrel 2 costs 449 euros, and the cafés are returning."),
        ["kestrel", "2", "cost", "449", "euro", "cafe", "return"]
    );
    let plain = |question| asked(question).into_iter().filter(|term| !term.contains(':')).collect::<Vec<_>>();
    assert_eq!(plain("What does the Kestrel cost?"), plain("what does the kestrel costs"));
    assert_eq!(terms(&format!("a {} b{}", "x".repeat(81), "1".repeat(79))), [format!("b{}", "1".repeat(79))]);
}

#[test]
fn questions_find_their_words_in_other_languages() {
    for (text, question) in [
        ("Die Häuser und das Fahrrad sind nicht im Keller, aber der Schlüssel ist da.", "Wo ist mein Haus?"),
        ("Die Häuser und das Fahrrad sind nicht im Keller, aber der Schlüssel ist da.", "Welche Schlussel gibt es?"),
        ("Wir sind montags geschlossen, und auch an Feiertagen.", "Was ist am Feiertag?"),
        ("Les tentes sont rendues dans les trente jours.", "Quand rendre une tente ?"),
        ("Las tiendas se devuelven en treinta días.", "¿Cómo devolver una tienda?"),
        ("Палатку можно вернуть в течение шестидесяти дней.", "Как вернуть палатки?"),
        ("Ёлка стоит тысячу рублей.", "Сколько стоят елки?"),
        ("帐篷可以在六十天内退货。", "帐篷怎么退货?"),
        ("我们有绿茶和红茶。", "茶"),
        ("テントは六十日以内に返品できます。", "テントの返品について"),
        ("ﾃﾝﾄは２０２６年に発売", "テント 2026"),
        ("텐트는 60일 이내에 반품할 수 있습니다.", "텐트 반품"),
        ("สินค้าสามารถคืนได้ภายใน 30 วัน", "คืนสินค้า"),
        ("Η σκηνή κοστίζει 449 ευρώ.", "σκηνη 449"),
        ("u\u{308}bermu\u{308}dete Wanderer", "Wanderer, übermüdet"),
    ] {
        assert!(found(text, question), "{question}: {:?} in {:?}", asked(question), terms(text));
    }
    for (text, question) in [
        ("帐篷可以在六十天内退货。", "睡袋多少钱"),
        ("Палатку можно вернуть.", "Сколько стоит рюкзак?"),
        ("Wir sind montags geschlossen.", "Was ist das für ein Zelt?"),
    ] {
        assert!(!found(text, question), "{question}: {:?} in {:?}", asked(question), terms(text));
    }
}

#[test]
fn a_part_without_small_words_has_the_language_of_the_whole() {
    let whole = Language::of("Die Preise sind in Euro, und der Versand ist nicht dabei.");
    assert_eq!(indexed("Preise Zelte", whole), "de:preis de:zelt");
    let english = "These are the prices of the tents, and they are in euros.";
    assert!(!indexed(english, whole).contains("de:"));
    assert!(found("Preisliste", "Preislisten") || asked("Preislisten").len() > 1);
}

#[test]
fn forms_of_a_word_are_one_word() {
    let is_form_of = |a: &str, b: &str| Question::of(a).share([b]) == 1.0;
    for (a, b) in [
        ("ship", "shipping"),
        ("cost", "costs"),
        ("returned", "returning"),
        ("close", "closing"),
        ("Häuser", "haus"),
        ("палатки", "палатка"),
    ] {
        assert!(is_form_of(a, b) && is_form_of(b, a), "{a} {b}");
    }
    for (a, b) in [("tent", "tentative"), ("car", "cat"), ("4203", "4204"), ("rain", "rainbow"), ("帐篷", "帐本")] {
        assert!(!is_form_of(a, b) && !is_form_of(b, a), "{a} {b}");
    }
}

#[test]
fn only_words_with_a_meaning_count() {
    let words = Question::of("What does the Kestrel 2 cost?");
    assert_eq!(words.share(["The Kestrel 2", "costs 449 euros"]), 1.0);
    assert_eq!(words.share(["what does the"]), 0.0);
    assert!(words.share(["a kestrel is a bird"]) < 1.0);
    assert_eq!(Question::of("Who are you?").share(["you are who you are"]), 1.0);
    assert_eq!(Question::of("?!").share(["?!"]), 0.0);
    assert_eq!(Question::of("Was ist das für ein Zelt?").share(["Das Zelt ist grün."]), 1.0);
    assert!(Question::of("帐篷怎么退货").share(["帐篷可以在六十天内退货"]) > 0.3);
}

#[test]
fn one_rare_word_of_many_is_little() {
    let words = Question::of("Which quokka won the football championship yesterday?");
    assert!(words.share(["The quokka smiles."]) < 0.45);
}

#[test]
fn a_question_is_read_up_to_its_bound() {
    let long = format!("{}end", "word ".repeat(MAX_QUESTION_CHARS / 5));
    assert!(!asked(&long).iter().any(|term| term == "end") && asked(&long).contains(&"word".to_owned()));
}

proptest! {
    #[test]
    fn a_text_with_the_whole_question_has_all_of_it(question in any::<String>(), more in any::<String>()) {
        let words = Question::of(&question);
        let share = words.share([more.as_str(), question.as_str()]);
        prop_assert!(share == 1.0 || words.words.is_empty());
    }

    #[test]
    fn what_is_indexed_is_found_by_what_it_says(text in "(\\PC| |[а-яё]|[一-龥]|[ぁ-ん]|[a-zäöüß]){0,40}") {
        let there = indexed(&text, Language::of(&text));
        let there: HashSet<&str> = there.split_ascii_whitespace().collect();
        let asked = asked(&text);
        prop_assert!(there.is_empty() || asked.iter().any(|term| there.contains(term.as_str())), "{there:?} {asked:?}");
        prop_assert!(there.iter().all(|term| !term.chars().any(char::is_uppercase) || !term.is_ascii()));
    }
}
