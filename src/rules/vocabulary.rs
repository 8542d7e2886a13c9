//! Words around numbers, in English, Hindi and German; as they are in tokens, without the dots below letters. Pure.

/// The number that a word multiplies the one before it by.
pub(super) fn multiple(word: &str) -> Option<f64> {
    Some(match word {
        "k" | "thousand" | "tausend" | "हजार" => 1e3,
        "l" | "lakh" | "lakhs" | "lac" | "lacs" | "लाख" => 1e5,
        "million" | "millions" | "mio" | "millionen" => 1e6,
        "cr" | "crore" | "crores" | "करोड" => 1e7,
        _ => return None,
    })
}

/// Whether a word or a sign says that the number beside it is an amount.
pub(super) fn is_currency(word: &str) -> bool {
    const WORDS: [&str; 19] = [
        "₹",
        "$",
        "€",
        "£",
        "rs",
        "inr",
        "rupee",
        "rupees",
        "रुपये",
        "रुपए",
        "रुपया",
        "usd",
        "dollar",
        "dollars",
        "eur",
        "euro",
        "euros",
        "gbp",
        "pounds",
    ];
    WORDS.contains(&word)
}

/// How many months it is that a word counts.
pub(super) fn months(word: &str) -> Option<f64> {
    Some(match word {
        "month" | "months" | "mo" | "mos" | "mth" | "mths" | "महीना" | "महीने" | "महीनों" | "माह" | "monat"
        | "monate" | "monaten" => 1.0,
        "year" | "years" | "yr" | "yrs" | "साल" | "सालों" | "वर्ष" | "वर्षों" | "बरस" | "jahr" | "jahre" | "jahren" => {
            12.0
        }
        _ => return None,
    })
}

/// Whether a word or a sign says that the number before it is hundredths.
pub(super) fn is_percent(word: &str) -> bool {
    matches!(word, "%" | "percent" | "pct" | "प्रतिशत" | "फीसदी" | "prozent")
}

/// Whether a word may stand between `2 years` and `6 months`.
pub(super) fn is_and(word: &str) -> bool {
    matches!(word, "and" | "," | "और" | "und")
}

/// Whether a word means no amount at all.
pub(super) fn is_nothing(word: &str) -> bool {
    matches!(word, "no" | "none" | "nothing" | "nil" | "zero" | "नहीं" | "शून्य" | "nein" | "keine" | "nichts" | "null")
}
