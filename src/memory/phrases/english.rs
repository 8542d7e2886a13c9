//! English.

use std::sync::LazyLock;

use super::{
    language::Language,
    pattern::pattern,
    relations::ANY,
    rule::{
        About::{Either, Many, Named, One, Over, OverMany, Relation},
        Rule,
    },
    value::Value::{
        Allergen, Any, Called, Day, Endured, Interest, Introduced, KnownPlace, Name, Place, Proper, Thing, Work,
        Workplace,
    },
};

const ADVERBS: &str = r"(?:(?:really|also|still|now|just|currently|absolutely|do|always|actually|personally|quite|totally|mostly|honestly|definitely|especially|simply|recently|generally|very|severely|highly|deathly|slightly) )*";
const JOBS: &str = r"(?:(?:(?:software|hardware|data|web|front-?end|back-?end|full-?stack|systems?|network|security|cloud|devops|ml|ai|qa|test|game|mobile|android|ios|primary|elementary|secondary|high|middle|kindergarten|school|math|maths|english|german|french|spanish|music|art|history|physics|chemistry|biology|science|pe|civil|mechanical|electrical|chemical|industrial|biomedical|aerospace|structural|sound|audio|medical|phd|law|nursing|graduate|university|college|police|head|senior|junior|lead|chief|freelance|self-employed|product|project|account|marketing|sales|hr|it|office|store|case|general|operations|event|graphic|fashion|interior|ux|ui|registered|staff|night|travel|research|taxi|bus|truck|lorry|train|delivery|uber|airline|commercial|family|tax|patent|criminal|divorce|corporate|business|financial|management|political|clinical|school|social|child|physical|occupational|speech|massage|pastry|sous|line|wedding|portrait|wildlife|sports|news|technical|science|copy|film|video|book|session|jazz|classical|concert|stage|voice|dairy|organic|landscape|car|auto|bike|aircraft|computer|climate|marine|brain|heart|plastic|orthopedic|small-animal) )+)?(?:teacher|nurse|doctor|physician|surgeon|dentist|engineer|developer|programmer|designer|architect|lawyer|student|pupil|baker|cook|chef|waiter|waitress|plumber|electrician|carpenter|mechanic|farmer|gardener|journalist|writer|author|editor|musician|actor|actress|artist|painter|photographer|scientist|researcher|professor|librarian|accountant|manager|consultant|analyst|pilot|driver|police officer|firefighter|soldier|pharmacist|therapist|psychologist|veterinarian|vet|social worker|civil servant|translator|economist|salesperson|hairdresser|tailor|pensioner|retiree|freelancer)";
pub(super) const LANGUAGES: &str = r"(?:english|german|french|spanish|italian|portuguese|russian|polish|dutch|swedish|danish|norwegian|finnish|greek|turkish|arabic|hebrew|persian|farsi|urdu|hindi|bengali|punjabi|gujarati|marathi|tamil|telugu|kannada|malayalam|chinese|mandarin|cantonese|japanese|korean|vietnamese|thai|indonesian|malay|swahili|ukrainian|czech|slovak|hungarian|romanian|bulgarian|serbian|croatian|catalan|esperanto|sign language)";
const DIETS: &str = r"vegan|vegetarian|pescatarian|pescetarian|flexitarian";
const BADLY: &str = r"(?:(?:very|really|pretty|quite|rather|severe|bad|strong|mild|serious|slight|terrible|horrible|dangerous|deadly|life-threatening|known|nasty|minor|major|moderate|acute|lifelong) )*";
const FOODS: &str = r"lactose|gluten|fructose|histamine|dairy|milk|wheat|eggs?|soya?|sorbitol|sucrose|alcohol|caffeine|sulphites?|sulfites?|salicylates?|nuts?|yeast|corn|shellfish|fodmaps?";

pub(super) static ENGLISH: LazyLock<Language> = LazyLock::new(|| Language {
    explicit: pattern(concat!(
        r"(?:^|, (?:and |but )?| and | but )(?:(?:please|also|can you|could you|would you|will you|kindly|always) )*",
        r"(?:remember|do(?: not|n['’]?t) (?:ever )?forget|(?:keep|bear) in mind|make a note|take note|note down)(?: for me| please)?",
        r"(?:(?:[,:]? that[,:]? |: )(?P<v>.+)|,? (?P<w>(?:I|my|we|our)\b.+))$"
    )),
    forget: pattern(concat!(
        r"^(?:(?:please|can you|could you|would you|now|ok|okay|just)[, ]+)*(?:forget|delete|erase|remove|unlearn|stop remembering|",
        r"do(?: not|n['’]?t) (?:remember|save|store|keep))(?:\s|$)"
    )),
    hedge: pattern(concat!(
        r"\b(?:if|would|wish|used to|could|might|maybe|perhaps|imagine|pretend|suppose|supposing|hypothetically|unless|whether|dream(?:t|ed|s)?|sa(?:id|ys)|tells|told|thinks|wrote|writes",
        r"|believes|believed|wonders|claims|claimed|asked|asks|lyrics|fiction(?:al)?|fanfic\w*|roleplay|role-play|joking|kidding|almost|should|in (?:my|the|a|this|our|his|her) (?:\w+ )?(?:novel|story|book|game|dreams?|film|movie|play|song|poem|role|campaign|script|series|show|simulation|scenario|backstory|fantasy)|my (?:character|protagonist|avatar|narrator|alter ego|hero|heroine))\b|^(?:when|while|before|after|until|once|because|since|although|as|in case)\b|\b(?:i|we)['’]d\b"
    )),
    joint: pattern(
        r"(?:,? (?:and|but|plus|so|then|also)(?: also| now)? |, |\s[–—-]\s|: )(?P<next>(?:I|I['’]m|I['’]ve|my|we|we['’]ve)\b)",
    ),
    own: pattern(r"\b(?:i|me|my|mine|myself|we|us|our|ours)\b"),
    question: pattern(
        r"^(?:(?:and|so|but|ok|please) )?(?:what|who|whom|whose|where|when|why|how|which|do|does|did|is|are|am|was|were|can|could|will|would|should|have|has)\b",
    ),
    rules: rules(),
    asked: asked(),
});

fn rules() -> Vec<Rule> {
    let full = |text: &str| {
        let text = text
            .replace("{i}", "(?:I|we)")
            .replace("{has}", "(?:I {adv} have|I['’]ve)(?: got)?")
            .replace("{am}", "(?:I['’]?m|I am|we['’]re|we are)")
            .replace("{have}", "(?:(?:I|we)['’]ve|(?:I|we) have|I|we)");
        let text = text.replace("{adv} ", ADVERBS).replace("{jobs}", JOBS).replace("{diets}", DIETS);
        let text = text.replace("{badly} ", BADLY).replace("{foods}", FOODS);
        text.replace("{languages}", LANGUAGES).replace("{k}", &ANY)
    };
    let rule = |about, value, text: &str| Rule::new(about, value, &full(text));
    let denial = |about, value, text: &str| Rule::denial(about, value, &full(text));
    vec![
        rule(One("name"), Name, r"my (?:full |first |real |given )?name(?:['’]s| is) (?P<v>.+)"),
        rule(One("last name"), Name, r"my (?:last |family |sur)name(?:['’]s| is) (?P<v>.+)"),
        rule(One("name"), Name, r"(?:I['’]?m|I am) (?:called|named) (?P<v>.+)"),
        rule(One("name"), Called, r"(?:(?:you can|you may|please|just) )*call me (?P<v>.+)"),
        rule(One("pronouns"), Thing, r"my (?:preferred )?pronouns are (?P<v>.+)"),
        rule(
            One("pronouns"),
            Thing,
            r"I (?:use|go by) (?P<v>(?:(?:he|she|they|it|xe|ze|ey|fae|any)/(?:him|his|her|hers|she|he|them|they|theirs?|it|its|xem|zir|hir|em|faer|all|any)|any pronouns).*)",
        ),
        rule(One("name"), Called, r"I go by the name(?: of)? (?P<v>.+)"),
        rule(One("birthday"), Day, r"my birthday(?:['’]s| is)(?: on)? (?P<v>.+)"),
        rule(One("birthday"), Day, r"I was born(?: on| in)? (?P<v>.+)"),
        rule(One("birthplace"), Place, r"I was born in (?P<v>.+)"),
        rule(One("age"), Thing, r"(?:I['’]?m|I am) (?P<v>\d{1,3})(?: years? old| years of age)?$"),
        rule(One("place"), Place, r"{i} {adv} (?:live|reside) (?:with [^,]{1,40}? )?in (?P<v>.+)"),
        rule(One("place"), KnownPlace, r"{i} {adv} (?:live|reside) (?:with [^,]{1,40}? )?near (?P<v>.+)"),
        rule(One("place"), Place, r"{am} {adv} (?:living|based|located) in (?P<v>.+)"),
        rule(
            One("place"),
            Place,
            r"(?:(?:I|we)['’]ve|(?:I|we) have) (?:been living|lived) in (?P<v>.+?) (?:since|for) .+",
        ),
        rule(
            One("place"),
            KnownPlace,
            r"{have} {adv} (?:moved|relocated) (?:(?:away|back|here) )?from .+? to (?P<v>.+)",
        ),
        rule(One("place"), KnownPlace, r"{have} {adv} (?:moved|relocated) (?:back )?to (?P<v>.+)"),
        rule(
            Over("place"),
            Place,
            r"{i} (?:no longer live|do(?: not|n['’]?t) live) in (?P<v>.+?)(?: any ?more| any longer)$",
        ),
        rule(Over("place"), Place, r"{i} no longer live in (?P<v>.+)"),
        rule(Over("place"), Place, r"{i} {adv} (?:live|reside) in (?P<v>.+?) no (?:more|longer)$"),
        rule(Over("place"), KnownPlace, r"{have} {adv} (?:moved|relocated) (?:away|out) (?:from|of) (?P<v>.+)"),
        rule(Over("place"), KnownPlace, r"{have} {adv} left (?P<v>.+?) for good$"),
        rule(Over("place"), Any, r"{have} {adv} moved away$"),
        rule(One("job"), Work, r"I {adv} work as (?:an? |the )?(?P<v>.+)"),
        rule(One("job"), Workplace, r"I {adv} work (?:at|for) (?P<v>.+)"),
        rule(One("job"), Work, r"{am} {adv} working as (?:an? )?(?P<v>.+)"),
        rule(One("job"), Workplace, r"{am} {adv} working (?:at|for) (?P<v>.+)"),
        rule(One("job"), Work, r"{am} {adv} an? (?P<v>{jobs})(?:\s|$|,)"),
        rule(One("job"), Work, r"{am} an? (?P<v>.+) by (?:profession|trade)"),
        rule(
            One("job"),
            Work,
            r"{have} {adv} (?:got|started|found|taken|took) (?:an? )?(?:new )?job (?:as an?|at|with) (?P<v>.+)",
        ),
        rule(One("job"), Work, r"my (?:new )?(?:job|profession|occupation) is (?:an? )?(?P<v>{jobs})(?:\s|$|,)"),
        rule(Over("job"), Work, r"I no longer work (?:as (?:an? )?|at |for )(?P<v>.+)"),
        rule(
            Over("job"),
            Work,
            r"I do(?: not|n['’]?t) work (?:as (?:an? )?|at |for )(?P<v>.+?) (?:any ?more|any longer)$",
        ),
        rule(Over("job"), Work, r"I {adv} work (?:as (?:an? )?|at |for )(?P<v>.+?) no (?:more|longer)$"),
        rule(
            Over("job"),
            Any,
            r"{have} (?:just )?(?:quit|lost|left) my job(?: (?:yesterday|today|last \w+|recently))?$",
        ),
        rule(OverMany("language"), Thing, r"I no longer speak (?P<v>{languages}\b.*)"),
        rule(
            Many("language"),
            Thing,
            r"I {adv} speak (?:(?:fluent|some|good|a little|a bit of) )?(?P<v>{languages}\b.*)",
        ),
        rule(One("native language"), Thing, r"my (?:native language|first language|mother tongue) is (?P<v>.+)"),
        rule(OverMany("allergy"), Thing, r"{am} no longer allergic to (?P<v>.+)"),
        rule(OverMany("allergy"), Thing, r"{am} not allergic to (?P<v>.+) (?:any ?more|any longer)$"),
        rule(OverMany("allergy"), Thing, r"{am} {adv} allergic to (?P<v>.+?) no (?:more|longer)$"),
        rule(Over("diet"), Any, r"{am} no longer (?:an? )?(?:{diets})$"),
        rule(Many("allergy"), Allergen, r"{am} {adv} allergic to (?P<v>.+)"),
        rule(Many("allergy"), Allergen, r"{has} an? {badly} allergy to (?P<v>.+)"),
        rule(
            Many("allergy"),
            Allergen,
            r"{has} an? {badly} (?P<v>[\w-]+(?: [\w-]+)?) allergy(?:$|,| [–—-] | (?:and|so|but|too|as|now|since|because|which|myself)(?: |$))",
        ),
        rule(Many("allergy"), Allergen, r"{am} {adv} (?P<v>{foods})[- ]intolerant"),
        rule(Many("allergy"), Allergen, r"{am} {adv} intolerant (?:to|of) (?P<v>{foods})(?:$|,)"),
        rule(One("diet"), Thing, r"{am} {adv} (?:an? )?(?P<v>{diets})\b"),
        rule(
            OverMany("dislikes"),
            Thing,
            r"{i} (?:no longer|do(?: not|n['’]?t)) (?:dislike|hate|detest|loathe) (?P<v>.+?)(?: any ?more| any longer)?$",
        ),
        denial(
            Either("dislikes", "likes"),
            Thing,
            r"{i} {adv} (?:do(?: not|n['’]?t)|no longer) (?:(?:really|particularly|especially|actually|even|generally) )*(?:like|love|enjoy|care for) (?P<v>.+)",
        ),
        denial(
            Either("dislikes", "likes"),
            Thing,
            r"{i} {adv} (?:like|love|enjoy|care for) (?P<v>.+?) no (?:more|longer)$",
        ),
        denial(Either("dislikes", "likes"), Endured, r"{i} {adv} can(?:no|['’]?| no)t (?:stand|bear) (?P<v>.+)"),
        rule(Either("dislikes", "likes"), Thing, r"{i} {adv} (?:dislike|hate|detest|loathe) (?P<v>.+)"),
        denial(
            Either("dislikes", "likes"),
            Thing,
            r"{am} (?:not|no(?: longer)?) (?:an? )?(?:(?:big|huge|great) )?fan of (?P<v>.+)",
        ),
        rule(Either("likes", "dislikes"), Thing, r"I {adv} prefer (?P<v>.+?)(?: (?:to|over|rather than) .+)?$"),
        rule(Either("likes", "dislikes"), Thing, r"{i} {adv} (?:like|love|enjoy|adore) (?P<v>.+)"),
        rule(
            Either("likes", "dislikes"),
            Thing,
            r"{am} {adv} (?:an? (?:(?:big|huge|great) )?fan of|fond of) (?P<v>.+)",
        ),
        rule(Either("likes", "dislikes"), Interest, r"{am} {adv} into (?P<v>.+)"),
        rule(Named("favourite"), Thing, r"my (?:all-time )?favou?rite (?P<k>[\w-]+(?: [\w-]+)?) (?:is|are) (?P<v>.+)"),
        rule(Relation, Name, r"my {k}(?:['’]s| is| are) (?:called|named) (?P<v>.+)"),
        rule(Relation, Name, r"my {k}['’]s? names? (?:is|are) (?P<v>.+)"),
        rule(Relation, Name, r"the name of my {k} is (?P<v>.+)"),
        rule(Relation, Name, r"(?:I|we) have an? {k} (?:called|named) (?P<v>.+)"),
        rule(Relation, Proper, r"my {k} is (?P<v>\S+)$"),
        rule(One("spouse"), Proper, r"{am} {adv} married to (?P<v>.+)"),
        rule(One("name"), Introduced, r"{am} (?P<v>.+)"),
    ]
}

fn asked() -> Vec<(regex::Regex, &'static str)> {
    let ask =
        |text: &str, attribute: &'static str| (pattern(&format!("^(?:{})", text.replace("{k}", &ANY))), attribute);
    vec![
        ask(
            r"what(?: all)? (?:do|can) you (?:know|remember|tell me) about me|what have I told you(?: about me| so far)?$|who am I",
            "",
        ),
        ask(r"what(?:['’]s| is|s) my name|what am I called|(?:do you know|tell me) (?:what )?my name", "name"),
        ask(r"what are my pronouns", "pronouns"),
        ask(r"when(?:['’]s| is) my birthday|when was I born", "birthday"),
        ask(r"where was I born", "birthplace"),
        ask(r"how old am I|what(?:['’]s| is) my age", "age"),
        ask(
            r"where (?:do|am) I (?:now )?(?:live|living)|(?:in )?(?:which|what) (?:city|town|country|place) do I live",
            "place",
        ),
        ask(
            r"where do I work|what do I do(?: for a living)?$|what(?:['’]s| is) my (?:job|profession|occupation)|who do I work for",
            "job",
        ),
        ask(r"(?:which|what) languages? (?:do|can) I speak", "language:"),
        ask(r"what(?:['’]s| is) my (?:native language|mother tongue)", "native language"),
        ask(
            r"what am I allergic to|(?:which|what) allerg(?:ies|y) do I have|what are my allergies|(?:do I have any allergies|am I allergic)",
            "allergy:",
        ),
        ask(r"what do I (?:not like|dislike|hate)|what do(?:n['’]t| not) I like", "dislikes:"),
        ask(r"what (?:else )?do I (?:like|love|enjoy)", "likes:"),
        ask(r"(?:what|which)(?:['’]s| is) my favou?rite (?P<k>[\w-]+(?: [\w-]+)?)", "favourite "),
        ask(r"what(?:['’]s| is|s) my {k} (?:called|named)", " "),
        ask(r"what(?:['’]s| is|s) my {k}['’]?s? name", " "),
        ask(r"what(?:['’]s| is|s) the name of my {k}", " "),
        ask(r"who is my {k}", " "),
        ask(r"what are the names of my {k}", " "),
        ask(r"what are my {k} (?:called|named)", " "),
    ]
}
