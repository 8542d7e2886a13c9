//! German. After "dass" the verb comes last; such clauses have rules of their own, which hold for what was asked for alone.

use std::sync::LazyLock;

use super::{
    language::Language,
    pattern::pattern,
    relations::ANY,
    rule::{
        About::{Either, Many, Named, One, Over, OverMany, Relation},
        Rule,
    },
    value::Value::{Allergen, Any, Called, Day, KnownPlace, Name, Place, Proper, Thing, Work, Workplace},
};

const ADVERBS: &str = r"(?:(?:wirklich|auch|immer noch|noch|jetzt|gerade|eben|zurzeit|derzeit|momentan|absolut|total|sehr|so|ja|halt|eigentlich|persönlich|inzwischen|mittlerweile|nun|seit \S+(?: \S+)?|stark|schwer|leicht|leider|übrigens|kürzlich|vor kurzem|letztes jahr|dieses jahr) )*";
const JOBS: &str = r"(?:lehrer|krankenpfleger|pfleger|krankenschwester|arzt|ärztin|zahnarzt|zahnärztin|ingenieur|entwickler|programmierer|designer|architekt|anwalt|anwältin|jurist|student|schüler|bäcker|koch|köchin|kellner|klempner|elektriker|tischler|schreiner|mechaniker|landwirt|bauer|gärtner|journalist|autor|schriftsteller|musiker|schauspieler|künstler|maler|fotograf|wissenschaftler|forscher|professor|bibliothekar|buchhalter|manager|berater|pilot|fahrer|busfahrer|polizist|soldat|apotheker|therapeut|psychologe|psychologin|tierarzt|tierärztin|sozialarbeiter|beamter|beamtin|übersetzer|verkäufer|friseur|rentner|erzieher|hebamme)(?:in)?";
const LANGUAGES: &str = r"(?:englisch|deutsch|französisch|spanisch|italienisch|portugiesisch|russisch|polnisch|niederländisch|schwedisch|dänisch|norwegisch|finnisch|griechisch|türkisch|arabisch|hebräisch|persisch|urdu|hindi|bengali|chinesisch|japanisch|koreanisch|vietnamesisch|thai|ukrainisch|tschechisch|ungarisch|rumänisch|bulgarisch|serbisch|kroatisch|esperanto|latein|gebärdensprache)";
const DIETS: &str = r"vegan|vegetarisch|vegetarier(?:in)?|veganer(?:in)?|pescetarier(?:in)?";
const FOODS: &str = r"laktose|lactose|gluten|fruktose|fructose|histamin|milch|weizen|sorbit|alkohol";

pub(super) static GERMAN: LazyLock<Language> = LazyLock::new(|| Language {
    explicit: pattern(concat!(
        r"(?:^|, (?:und |aber )?| und | aber )(?:bitte )?",
        r"(?:(?:merke?|notiere?) (?:es )?dir(?: bitte)?|vergiss(?: bitte)? nicht|vergesse?n sie(?: bitte)? nicht|denke?(?: bitte)? (?:daran|dran)",
        r"|behalte?(?: bitte)? (?:im kopf|in erinnerung|im gedächtnis)|erinnere? dich(?: bitte)?(?: daran)?|(?:kannst|könntest) du dir(?: bitte)? merken",
        r"|(?:kannst|könntest) du(?: bitte)? (?:daran denken|im kopf behalten))(?: bitte)?",
        r"(?:(?:,? ?dass|:) (?P<v>.+)|,? (?P<w>(?:ich|mein\w*|wir|unser\w*)\b.+))$"
    )),
    forget: pattern(
        r"^(?:(?:bitte|kannst du|könntest du|ok|okay)[, ]+)*(?:(?:vergiss|vergessen sie|lösche?|entferne?|streiche?)(?:[\s,]|$)|merke? dir(?: bitte)? (?:nicht|kein))",
    ),
    hedge: pattern(concat!(
        r"\b(?:wenn|falls|ob|würde\w*|wäre\w*|hätte\w*|könnte\w*|möchte\w*|sollte\w*|wünsch\w*|früher|damals|vielleicht|angenommen|stell dir|träum\w*|sagt|sagte|sagen|meint|meinte|behauptet|schrieb",
        r"|schreibt|glaubt|denkt|findet|vermutet|fragt|fragte|erzählt|erzählte|als ob|beinahe|rollenspiel|scherz|in (?:mein\w*|dem|der|einem|einer|diese\w*|unser\w*) (?:roman|geschichte|buch|spiel|traum|film|theaterstück|stück|lied|gedicht|rolle|drehbuch|serie)|meine (?:figur|romanfigur|spielfigur)|im (?:roman|spiel|film|buch|traum|stück))\b|^(?:als|während|bevor|nachdem|bis|sobald|weil|obwohl)\b"
    )),
    joint: pattern(r"(?:,? (?:und|aber|sowie|außerdem) |, |: )(?P<next>(?:ich|mein|meine|wir|unser|unsere)\b)"),
    own: pattern(r"\b(?:ich|mich|mir|mein\w*|wir|uns|unser\w*)\b"),
    question: pattern(
        r"^(?:(?:und|aber|ok|bitte) )?(?:was|wer|wen|wem|wessen|wo|wohin|woher|wann|warum|wieso|weshalb|wie|welche\w*|weißt|kannst|kennst|bin|habe|soll|hast|bist|ist|sind)\b",
    ),
    rules: rules(),
    asked: asked(),
});

fn full(text: &str) -> String {
    let text = text.replace("{adv} ", ADVERBS).replace("{jobs}", JOBS).replace("{diets}", DIETS);
    text.replace("{languages}", LANGUAGES).replace("{k}", &ANY).replace("{foods}", FOODS)
}

fn rules() -> Vec<Rule> {
    let rule = |about, value, text: &str| Rule::new(about, value, &full(text));
    let denial = |about, value, text: &str| Rule::denial(about, value, &full(text));
    vec![
        rule(One("name"), Name, r"ich hei(?:ß|ss)e (?P<v>.+)"),
        rule(One("name"), Name, r"mein (?:vor)?name ist (?P<v>.+)"),
        rule(One("last name"), Name, r"mein (?:nach|familien)name ist (?P<v>.+)"),
        rule(One("name"), Called, r"nenne? mich(?: bitte)?(?: einfach)? (?P<v>\S+(?: \S+)?)$"),
        rule(
            One("name"),
            Called,
            r"(?:du kannst|ihr könnt) mich (?:(?:gerne?|einfach|auch|ruhig) )*(?P<v>\S+(?: \S+)?) nennen$",
        ),
        rule(One("pronouns"), Thing, r"meine pronomen sind (?P<v>.+)"),
        rule(One("birthday"), Day, r"mein geburtstag ist (?:am |der )?(?P<v>.+)"),
        rule(One("birthday"), Day, r"ich habe am (?P<v>.+?) geburtstag"),
        rule(One("birthday"), Day, r"ich (?:bin|wurde) (?:am |im |in |im jahr )?(?P<v>.+?) geboren"),
        rule(One("birthplace"), Place, r"ich (?:bin|wurde) in (?P<v>.+?) geboren"),
        rule(One("age"), Thing, r"ich bin {adv} (?P<v>\d{1,3})(?: jahre alt)?$"),
        rule(Over("place"), Place, r"(?:ich|wir) (?:wohnen?|leben?) nicht (?:mehr|länger) in (?P<v>.+)"),
        rule(Over("place"), Place, r"(?:ich|wir) (?:wohnen?|leben?) in (?P<v>.+?) nicht (?:mehr|länger)$"),
        rule(Over("place"), Place, r"(?:ich bin|wir sind) {adv} (?:von|aus) (?P<v>.+?) weggezogen$"),
        rule(Over("place"), Any, r"(?:ich bin|wir sind) {adv} weggezogen$"),
        rule(One("place"), Place, r"(?:ich|wir) (?:wohnen?|leben?) {adv} (?:mit [^,]{1,40}? )?in (?P<v>.+)"),
        rule(
            One("place"),
            KnownPlace,
            r"(?:ich|wir) (?:wohnen?|leben?) {adv} (?:mit [^,]{1,40}? )?(?:bei|nahe) (?P<v>.+)",
        ),
        rule(
            One("place"),
            Place,
            r"(?:jetzt|inzwischen|mittlerweile|nun|seit \S+(?: \S+)?) (?:wohne|lebe|wohnen|leben) (?:ich|wir) {adv} in (?P<v>.+)",
        ),
        rule(One("place"), Place, r"(?:ich bin|wir sind) {adv} (?:(?:von|aus) .+? )?nach (?P<v>.+?) (?:um)?gezogen"),
        rule(Over("job"), Work, r"ich arbeite nicht (?:mehr|länger) (?:als|bei|für) (?P<v>.+)"),
        rule(Over("job"), Work, r"ich arbeite (?:als|bei|für) (?P<v>.+?) nicht (?:mehr|länger)$"),
        rule(
            Over("job"),
            Any,
            r"ich habe {adv} (?:meinen job|meine arbeit|meine stelle) (?:gekündigt|verloren|aufgegeben)$",
        ),
        rule(One("job"), Work, r"ich arbeite {adv} als (?P<v>.+)"),
        rule(One("job"), Workplace, r"ich arbeite {adv} (?:bei|für) (?P<v>.+)"),
        rule(One("job"), Work, r"ich bin {adv} (?:von beruf )?(?P<v>{jobs})(?:\s|$|,)"),
        rule(One("job"), Work, r"ich bin von beruf (?P<v>.+)"),
        rule(One("job"), Work, r"ich bin (?P<v>.+) von beruf$"),
        rule(One("job"), Work, r"(?:von beruf bin ich|mein beruf ist) (?P<v>.+)"),
        rule(
            Many("language"),
            Thing,
            r"ich spreche {adv} (?:(?:fließend|gut|etwas|ein bisschen|ein wenig) )?(?P<v>{languages}\b.*)",
        ),
        rule(One("native language"), Thing, r"meine muttersprache ist (?P<v>.+)"),
        rule(OverMany("allergy"), Thing, r"ich bin nicht mehr (?:allergisch (?:gegen|auf) (?P<v>.+))"),
        rule(OverMany("allergy"), Thing, r"ich bin (?:gegen|auf) (?P<v>.+?) nicht mehr allergisch$"),
        rule(
            Many("allergy"),
            Allergen,
            r"ich bin {adv} (?:gegen|auf) (?P<v>.+?)(?: sehr| stark| schwer| auch| leider)? allergisch$",
        ),
        rule(Many("allergy"), Allergen, r"(?:gegen|auf) (?P<v>.+?) bin ich {adv} allergisch$"),
        rule(Many("allergy"), Allergen, r"ich reagiere {adv} allergisch (?:gegen|auf) (?P<v>.+)"),
        rule(Many("allergy"), Allergen, r"ich bin {adv} allergisch (?:gegen|auf) (?P<v>.+)"),
        rule(Many("allergy"), Allergen, r"ich habe {adv} eine (?:(?:starke|schwere|leichte) )?(?P<v>\p{L}+?)-?allergie"),
        rule(Many("allergy"), Allergen, r"ich habe {adv} eine (?:\p{L}+ )?allergie gegen (?P<v>.+?)(?: entwickelt| bekommen)?$"),
        rule(Many("allergy"), Allergen, r"ich bin {adv} (?P<v>{foods})-?intolerant$"),
        rule(Many("allergy"), Allergen, r"ich vertrage {adv} kein(?:e|en)? (?P<v>.+)"),
        rule(One("diet"), Thing, r"ich (?:bin|esse|lebe|ernähre mich) {adv} (?P<v>{diets})(?:\s|$|,)"),
        rule(OverMany("dislikes"), Thing, r"(?:ich|wir) (?:hasse|hassen) (?P<v>.+?) nicht mehr$"),
        denial(
            Either("dislikes", "likes"),
            Thing,
            r"(?:ich|wir) (?:mag|mögen|liebe|esse|trinke) {adv} kein(?:e|en)? (?P<v>.+?)(?: mehr)?$",
        ),
        denial(
            Either("dislikes", "likes"),
            Thing,
            r"(?:ich|wir) (?:mag|mögen|liebe) (?P<v>.+?) (?:(?:überhaupt|gar|leider|einfach|so) )*nicht(?: (?:mehr|so|gern|gerne|besonders))*$",
        ),
        denial(
            Either("dislikes", "likes"),
            Thing,
            r"(?:ich|wir) (?:esse|trinke|höre|lese|spiele) (?P<v>.+?) nicht (?:mehr )?gerne?$",
        ),
        rule(Either("dislikes", "likes"), Thing, r"(?:ich|wir) (?:hasse|hassen|verabscheue) (?P<v>.+)"),
        denial(Either("dislikes", "likes"), Thing, r"ich kann (?P<v>.+?) nicht (?:mehr )?(?:leiden|ausstehen|ab)$"),
        rule(Either("likes", "dislikes"), Thing, r"(?:ich|wir) (?:mag|mögen|liebe|lieben) {adv} (?P<v>.+)"),
        rule(
            Either("likes", "dislikes"),
            Thing,
            r"(?:ich|wir) (?:esse|trinke|höre|lese|spiele|schaue|essen|trinken) {adv} gerne? (?P<v>.+)",
        ),
        rule(Either("likes", "dislikes"), Thing, r"ich bin {adv} (?:ein )?(?:großer )?fan von (?P<v>.+)"),
        rule(Named(""), Thing, r"meine? (?P<k>lieblings\p{L}+) (?:ist|sind|heißt) (?P<v>.+)"),
        rule(Relation, Name, r"meine? {k} (?:hei(?:ß|ss)t|hei(?:ß|ss)en) (?P<v>.+)"),
        rule(Relation, Name, r"der name mein(?:er|es) {k} ist (?P<v>.+)"),
        rule(Relation, Name, r"(?:ich habe|wir haben) (?:eine?n?) {k} namens (?P<v>.+)"),
        rule(One("spouse"), Proper, r"ich bin {adv} mit (?P<v>.+?) verheiratet"),
    ]
    .into_iter()
    .chain(subordinate())
    .collect()
}

/// What clauses say behind "dass", where the verb comes last.
fn subordinate() -> impl Iterator<Item = Rule> {
    let rule = |about, value, text: &str| Rule::new(about, value, &full(text));
    let denial = |about, value, text: &str| Rule::denial(about, value, &full(text));
    let rules = vec![
        rule(One("name"), Name, r"ich (?P<v>[^,]+?) hei(?:ß|ss)e$"),
        rule(One("name"), Name, r"mein name (?P<v>.+?) ist$"),
        rule(One("place"), Place, r"ich {adv} in (?P<v>.+?) (?:wohne|lebe)$"),
        rule(One("place"), Place, r"ich {adv} (?:(?:von|aus) .+? )?nach (?P<v>.+?) (?:um)?gezogen bin$"),
        rule(One("job"), Work, r"ich {adv} als (?P<v>.+?) arbeite$"),
        rule(One("job"), Workplace, r"ich {adv} (?:bei|für) (?P<v>.+?) arbeite$"),
        rule(One("job"), Work, r"ich {adv} (?P<v>{jobs}) bin$"),
        rule(One("birthday"), Day, r"mein geburtstag am (?P<v>.+?) ist$"),
        rule(One("birthday"), Day, r"ich am (?P<v>.+?) geburtstag habe$"),
        rule(One("birthday"), Day, r"ich am (?P<v>.+?) geboren (?:bin|wurde)$"),
        rule(Many("allergy"), Allergen, r"ich {adv} allergisch (?:gegen|auf) (?P<v>.+?) bin$"),
        rule(Many("allergy"), Allergen, r"ich {adv} (?:gegen|auf) (?P<v>.+?) allergisch bin$"),
        rule(Many("allergy"), Allergen, r"ich {adv} eine (?P<v>\p{L}+?)-?allergie habe$"),
        rule(Many("allergy"), Allergen, r"ich {adv} eine (?:\p{L}+ )?allergie gegen (?P<v>.+?) habe$"),
        rule(Many("allergy"), Allergen, r"ich {adv} (?P<v>{foods})-?intolerant bin$"),
        rule(One("diet"), Thing, r"ich {adv} (?P<v>{diets}) bin$"),
        denial(
            Either("dislikes", "likes"),
            Thing,
            r"ich {adv} (?:kein(?:e|en)? (?P<v>.+?)(?: mehr)?) (?:mag|esse|trinke)$",
        ),
        denial(Either("dislikes", "likes"), Thing, r"ich (?P<v>[^,]+?) nicht (?:mehr )?mag$"),
        rule(Either("dislikes", "likes"), Thing, r"ich (?P<v>[^,]+?) hasse$"),
        rule(
            Either("likes", "dislikes"),
            Thing,
            r"ich (?P<v>[^,]+?) (?:(?:sehr|gern|gerne) )*(?:mag|liebe|esse|trinke)$",
        ),
        rule(Named(""), Thing, r"meine? (?P<k>lieblings\p{L}+) (?P<v>.+?) (?:ist|sind)$"),
        rule(Relation, Name, r"meine? {k} (?P<v>.+?) (?:hei(?:ß|ss)t|hei(?:ß|ss)en)$"),
    ];
    rules.into_iter().map(Rule::subordinate)
}

fn asked() -> Vec<(regex::Regex, &'static str)> {
    let ask =
        |text: &str, attribute: &'static str| (pattern(&format!("^(?:{})", text.replace("{k}", &ANY))), attribute);
    vec![
        ask(
            r"was (?:weißt|weisst) du (?:alles )?(?:über|von) mi(?:ch|r)|was habe ich dir (?:alles )?(?:über mich )?erzählt$|wer bin ich",
            "",
        ),
        ask(
            r"wie hei(?:ß|ss)e ich|(?:was|wie) ist mein name|wei(?:ß|ss)t du,? (?:noch )?,?wie ich hei(?:ß|ss)e",
            "name",
        ),
        ask(r"(?:was|welche) sind meine pronomen", "pronouns"),
        ask(r"wann (?:ist mein geburtstag|habe ich geburtstag|bin ich geboren|wurde ich geboren)", "birthday"),
        ask(r"wo (?:bin|wurde) ich geboren", "birthplace"),
        ask(r"wie alt bin ich", "age"),
        ask(r"wo (?:wohne|lebe) ich|in welche[rm] (?:stadt|land|ort) (?:wohne|lebe) ich", "place"),
        ask(
            r"wo arbeite ich|was (?:arbeite ich|bin ich von beruf|ist mein beruf|mache ich beruflich)|(?:als was|für wen) arbeite ich",
            "job",
        ),
        ask(r"welche sprachen? (?:spreche|kann) ich", "language:"),
        ask(r"was ist meine muttersprache", "native language"),
        ask(
            r"wogegen bin ich (?:alles )?allergisch|(?:gegen was|worauf) bin ich allergisch|welche allergien? habe ich|habe ich (?:irgendwelche )?allergien|bin ich allergisch",
            "allergy:",
        ),
        ask(r"was (?:mag ich (?:überhaupt |gar )?nicht|hasse ich)", "dislikes:"),
        ask(r"was (?:mag|liebe|esse|trinke) ich", "likes:"),
        ask(r"(?:was|wer|welches?) ist meine? (?P<k>lieblings\p{L}+)", " "),
        ask(r"wie hei(?:ß|ss)(?:t|en) meine? {k}", " "),
        ask(r"wie ist der name mein(?:er|es) {k}", " "),
        ask(r"wer ist meine? {k}", " "),
    ]
}
