//! Relatives and animals: what they are called in several languages, and in attributes. Pure.

use std::sync::LazyLock;

/// One name for each in attributes, and the words for it.
const RELATIONS: [(&str, &str); 41] = [
    ("sister", "sister|schwester|बहन|दीदी"),
    ("brother", "brother|bruder|bruders|भाई|भैया"),
    ("sisters", "sisters|schwestern|बहनें|बहनों"),
    ("brothers", "brothers|brüder|भाइयों"),
    ("siblings", "siblings|geschwister"),
    ("mother", "mother|mom|mum|mutter|mama|माँ|मां|माता|मम्मी"),
    ("father", "father|dad|vater|vaters|papa|papas|पिता|पापा"),
    ("parents", "parents|eltern|माता-पिता"),
    ("wife", "wife|ehefrau|frau|पत्नी|बीवी"),
    ("husband", "husband|ehemann|ehemanns|mann|mannes|पति"),
    ("spouse", "spouse"),
    ("partner", "partner|partners|partnerin|साथी"),
    ("girlfriend", "girlfriend|freundin|गर्लफ्रेंड"),
    ("boyfriend", "boyfriend|freund|freundes|बॉयफ्रेंड"),
    ("son", "son|sohn|sohnes|sohns|बेटा|बेटे"),
    ("daughter", "daughter|tochter|बेटी"),
    ("sons", "sons|söhne|बेटों"),
    ("daughters", "daughters|töchter|बेटियों|बेटियाँ"),
    ("child", "child|kid|baby|kind|kindes|kinds|babys|बच्चा|बच्चे"),
    ("children", "children|kids|kinder|बच्चों"),
    ("grandmother", "grandmother|grandma|granny|oma|großmutter|दादी|नानी"),
    ("grandfather", "grandfather|grandpa|opa|opas|großvater|großvaters|दादा|नाना"),
    ("aunt", "aunt|tante|चाची|मौसी|बुआ"),
    ("uncle", "uncle|onkel|onkels|चाचा|मामा"),
    ("cousin", "cousin|cousins|cousine"),
    ("niece", "niece|nichte|भतीजी|भांजी"),
    ("nephew", "nephew|neffe|neffen|भतीजा|भांजा"),
    ("friend", "friend|best friend|bester freund|beste freundin|दोस्त"),
    ("boss", "boss|chef|chefs|chefin|बॉस"),
    ("dog", "dog|puppy|hund|hundes|hunds|hündin|कुत्ता|कुत्ते|कुतिया"),
    ("dogs", "dogs|hunde|कुत्तों"),
    ("cat", "cat|kitten|katze|kater|katers|बिल्ली"),
    ("cats", "cats|katzen|बिल्लियों"),
    ("pet", "pet|haustier|haustiers|haustieres"),
    ("horse", "horse|pferd|pferdes|घोड़ा|घोड़े"),
    ("bird", "bird|vogel|vogels|पक्षी"),
    ("parrot", "parrot|papagei|papageis|तोता|तोते"),
    ("rabbit", "rabbit|kaninchen|kaninchens|खरगोश"),
    ("hamster", "hamster|hamsters"),
    ("tortoise", "tortoise|schildkröte"),
    ("teacher", "teacher|lehrer|lehrers|lehrerin|अध्यापक|अध्यापिका"),
];
/// Which of several.
const WHICH: [(&str, &str); 5] = [
    ("older", "older|elder|big|ältere|älterer|älteren|große|großer|großen|बड़ी|बड़ा|बड़े"),
    ("younger", "younger|little|jüngere|jüngerer|jüngeren|kleine|kleiner|kleinen|छोटी|छोटा|छोटे"),
    ("second", "second|zweite|zweiter|zweiten|दूसरी|दूसरा|दूसरे"),
    ("other", "other|andere|anderer|anderen"),
    ("new", "new|neue|neuer|neuen|नई|नया|नए"),
];

/// Matches any of them, with or without a word for which one, as `k`.
pub(super) static ANY: LazyLock<String> = LazyLock::new(|| {
    let words = |of: &[(&str, &str)]| of.iter().map(|(_, words)| *words).collect::<Vec<_>>().join("|");
    format!("(?P<k>(?:(?:{}) )?(?:{}))", words(&WHICH), words(&RELATIONS))
});

/// The attribute of who is named so: `sister`, `older sister`.
pub(super) fn relation(named: &str) -> Option<String> {
    let named = named.to_lowercase();
    let named: Vec<&str> = named.split_whitespace().collect();
    let of = |table: &[(&'static str, &str)], word: &str| {
        table.iter().find(|(_, words)| words.split('|').any(|known| known == word)).map(|(name, _)| *name)
    };
    if let Some(name) = of(&RELATIONS, &named.join(" ")) {
        return Some(name.to_owned());
    }
    let (which, word) = named.split_first()?;
    Some(format!("{} {}", of(&WHICH, which)?, of(&RELATIONS, &word.join(" "))?))
}
