//! What of a clause may be a value. Pure.

use std::sync::LazyLock;

use regex::Regex;

use super::pattern::pattern;

/// The longest value that is one thing rather than a description of many, in characters and in words.
const MAX_VALUE_CHARS: usize = 40;
const MAX_VALUE_WORDS: usize = 5;

/// What the value of a rule (`v`) must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    /// Anything, or nothing.
    Any,
    /// What somebody is called.
    Name,
    /// The same with a capital, and not where somebody is from.
    Proper,
    /// The same of whoever asks to be called so: a name then, even if people from somewhere are called like it.
    Called,
    /// The same, of whoever has just greeted, and no word for how somebody is.
    Introduced,
    /// A place: it is written like one, or known.
    Place,
    /// The same, and known: what stands before it may mean something else.
    KnownPlace,
    /// A trade, a firm.
    Work,
    /// A firm or a place where people work, and neither when nor how: any word may stand there.
    Workplace,
    /// A day.
    Day,
    /// A thing, or something that can be done.
    Thing,
    /// The same, and not how somebody stands: "can't stand up".
    Endured,
    /// The same, and not how far somebody is: "into the third week".
    Interest,
    /// The same, and neither how bad it is nor since when.
    Allergen,
}

/// What follows a value.
static BEHIND: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"[,:(\[–—]|\s-\s|\s(?:because|since|so|but|when|while|which|who|where|although|though|after|before|than|instead|as well|more",
        r"|weil|da|denn|aber|obwohl|seit|als|wenn|क्योंकि|लेकिन|पर|मगर)(?:\s|$)"
    ))
});
/// What follows a name or a place.
static BEHIND_NAMES: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"[.!]? (?:and|with|for|now|again|at the moment|right now|currently|these days|by the way|at|near|on|together|alone|last|this|in (?:\d{4}|january",
        r"|february|march|april|may|june|july|august|september|october|november|december)|a (?:year|month|week|few)|two|three|yesterday|today|und|mit|für|jetzt|bei|seit|zusammen",
        r"|allein|और|के साथ)(?: |$)|\d"
    ))
});
/// Somebody who says or does something: more than a thing.
static CLAUSE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?:^| )(?:i|i['’]m|you|we|he|she|they|ich|du|wir|mich|dich|dass|daß|warum|wieso|weshalb|weiß|weiss|frage|मैं|कि|है|हैं|लगता|पता|उसे|उसको|उन्हें)(?: |$)",
    )
});
/// What stands behind "stand" where nothing is endured.
static UPRIGHT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^(?:up|still|upright|straight|on|by|there|here|in|out|around|back|down|for|with|alone|long|to|anymore|any longer|without|due|because|unaided|properly|very|(?:(?:any|more|my|our|his|her) )*(?:children|kids))(?: |$)",
    )
});
/// What somebody is into that only says how far they are.
static PROGRESS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^(?:my|our|the|this|it|\d+\S*|one|two|three|four|five|six|seven|eight|nine|ten|first|second|third|fourth|week|day|month|year|chapter|page|season|episode|hour|level|about|almost|nearly|half|overtime|trouble|debt)(?: |$)",
    )
});
/// What is no thing that somebody is allergic to.
static NO_ALLERGEN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^(?:(?:severe|bad|strong|mild|serious|slight|terrible|horrible|dangerous|deadly|life-threatening|known|nasty|minor|major|moderate|acute|lifelong|very|really|pretty|quite|rather|weird|strange|rare|new|common|similar|different|real|huge|big|little|small|possible|suspected|unknown|undiagnosed|potential|sudden|food|contact|skin|drug)(?: (?:food|contact|skin|drug|new|old|and .+))?$",
        r"|(?:severe|bad|strong|mild|serious|slight|terrible|horrible|dangerous|deadly|life-threatening|weird|strange|rare|common)(?: |$)|(?:lebensmittel|nahrungsmittel|kontakt|kreuz|pseudo|haut)$)",
        r"|(?:^| )(?:überwunden|besiegt|verloren|gehabt|बचपन|साल\S*|महीन\S*|दिन\S*|कब|हमेशा|शुरू|जन्म)(?: |$)"
    ))
});
/// What makes a noun in Hindi something else than a name.
static POSTPOSITION: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?:^| )(?:में|पर|से|को|तक|के|का|की)(?: |$)"));
/// Where somebody works, in Hindi, where any word may stand there: "at night", "for money".
static WORKPLACE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?:^| )(?:बैंक|अस्पताल|हॉस्पिटल|क्लिनिक|स्कूल|विद्यालय|पाठशाला|कॉलेज|कालेज|विश्वविद्यालय|यूनिवर्सिटी|कंपनी|कम्पनी|फर्म|दुकान|होटल|रेस्टोरेंट|रेस्तराँ|फैक्ट्री|फ़ैक्ट्री|कारखाने|रेलवे|पुलिस|सेना|सरकार|मंत्रालय|न्यायालय|अदालत|संस्था|संस्थान|अख़बार|अखबार|गूगल|माइक्रोसॉफ्ट|अमेज़न|अमेजन|इन्फोसिस|इंफोसिस|टीसीएस|विप्रो|रिलायंस|टाटा|सीमेंस)$",
    )
});
/// What does not belong to a thing, before it and behind it.
static BEFORE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^(?:(?:a|an|the|my|our|some|all|any|most|to (?:eat|drink)|eating|drinking|die|der|das|den|dem|ein|eine|einen|einem|einer|mein|meine|meinen|unser|unsere",
        r"|sehr|total|am liebsten|gern|gerne|really|बहुत|एक|सारे|सभी|मेरा|मेरी|मेरे) )+"
    ))
});
static AFTER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"(?: (?:very much|so much|a lot|a bit|too|anymore|any more|any longer|either|as well|again|the most|best|the best|now|though|really|at all|these days|so",
        r"|sehr|gern|gerne|auch|total|echt|wirklich|so|mehr|am liebsten|überhaupt|gar|बहुत|भी|काफ़ी|काफी|बिल्कुल))+$"
    ))
});
/// Values that say nothing by themselves: they mean something that was said before, or something else altogether.
static EMPTY: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^(?:it|this|that|these|those|them|him|her|he|she|you|your|yours|me|us|one|ones|both|everything|nothing|something|anything|neither|what|how|when|where|who|why|if|of|not",
        r"|things?|stuff|lots|more|less|most|many|few|several|each|every|either|any|some|all|none|such|there|here|so|very|really|too|another|others?|people|someone|somebody|anyone|anybody|everyone|everybody|nobody|doing|being|having|getting",
        r"|sachen|dinge|zeug|viele?s?|mehr|alle[nmrs]?|jede[nmrs]?|manche[nmrs]?|beide[nmrs]?|leute|man|hier|dort|da|so|sowas|das|den|die|der|mich|mir|चीज़ें|चीजें|चीज़|चीज|लोग|यहाँ|यहां|बात|सब कुछ",
        r"|to (?:know|think|see|hear|ask|get|have|be|say|start|understand|thank|help|try|admit|interrupt|complain|bother|break|sound|disappoint|disagree)|just|only|hearing|seeing you|(?:the )?(?:idea|answer|way|plan|joke|poem|story|version|first|second|last|latter",
        r"|former|other|sound|suggestion|text|fact|part|next|same|option|title|draft|tone|ending|number|ones?)(?:s|$| .*)|es|dies|diese|diesen|dieser|dieses|ihn|ihm|sie|er|dich|dir|euch|uns|dein|deine|deinen|deiner|was|wie|wenn|dass|nichts|alles|etwas",
        r"|(?:idee|antwort|art|plan|witz|gedicht|geschichte|erste|zweite|letzte|option|titel|entwurf|ton|nummer|schluss|variante)|यह|ये|वह|वो|इसे|उसे|इसको|उसको|तुम|तुम्हें|आप|आपको|तुम्हारा|तुम्हारी|आपका|आपकी|आपके|कुछ|सब|क्या|कैसे)(?: |$)"
    ))
});
/// What is denied, or as good as that.
static NOT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?:^|\s)(?:not|never|neither|hardly|barely|rarely|seldom|nicht|kein\w*|nie|niemand\w*|weder|kaum|selten|नहीं|मत|ना)(?:\s|$)|n['’]t(?: |$)",
    )
});
/// How words end that say where somebody is from, or how they are.
static ORIGIN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^\p{L}+(?:ish|ese|eese|ean|ican|nian|sian|lian|gian|dian|rian|tian|vian|mbian|ibian|rbian|nyan|byan|ccan|ndan|nkan|skan|ful|less|ous|sexual|free)(?: |$)",
    )
});
/// Words that end so and are names, and nothing else.
static PERSON: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^(?:brian|adrian|florian|dorian|cyprian|ciprian|hadrian|darian|sebastian|bastian|kristian|cristian|julian|kilian|killian|kylian|lilian|lillian|jillian|gillian|maximilian|emilian|vivian|octavian|marian",
        r"|brendan|brandan|sean|dean|jean|reese|therese|marliese|manish|satish|ashish|girish|harish|jagdish|nitish|rajnish|krish|trish|hamish)(?: |$)"
    ))
});
/// Words that nobody is called by.
static NO_NAME: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^(?:not|a|an|the|on|in|at|to|of|no|too|very|so|hard|difficult|easy|unknown|secret|spelled|spelt|written|pronounced|common|rare|short|long|important|private|irrelevant|what|who|why|how|it|that|this|me|you|him|her|them|us|my|your|his|their|back",
        r"|later|when|if|maybe|crazy|tomorrow|today|mine|yours|fine|ok|okay|sorry|away|up|upon|out|off|by|for|from|after|before|names?|anytime|whatever|anything|old|old-fashioned",
        r"|asap|monday|tuesday|wednesday|thursday|friday|saturday|sunday|tonight|morning|noon|soon|again|immediately|first|urgently|please|collect|once|already|taken|available|unavailable|free|still|always|also|misspell?ed|misspelt|mispronounced|wrong|correct|missing|listed|mentioned|used|being|getting|just|everywhere|nowhere|associated|registered|banned|different|similar|same|below|above|attached|printed|confidential|classified",
        r"|dich|euch|uns|alle[nrs]?|jede[nrms]?|herzlich|willkommen|so|anders|auch|montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonntag|morgen|heute|später|zurück|bald|schon|bereits|vergeben|falsch|richtig",
        r"|nicht|kein|keine|ein|eine|der|die|das|mir|dir|ihn|sie|es|wie|was|schwer|leicht|geheim|egal|बहुत|गलत|ग\u{93c}लत|\u{95a}लत|सही|अधूरा|पुराना|आसान|मुश्किल|कठिन|लंबा|छोटा|पता|याद|वही|क्या|नहीं|कोई|वह|यह)(?: |$)|['’]s?(?: |$)"
    ))
});
/// What stands in the place of a name: where somebody is from, what they believe, how they are.
static NO_PERSON: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^(?:german|croat|serb|slovak|slovene|welsh|scot|scots|arabian|briton|brit|aussie|sri lankan|angolan|samoan|tibetan|catalan|guatemalan|venezuelan|uruguayan|paraguayan|cypriot|french|dutch|greek|swiss|thai|czech|turk|turkish|arab|pole|dane|swede|finn|indian|american|african|asian|roman|korean|mexican|italian|russian|catholic|muslim|hindu|sikh|buddhist|jewish|protestant|atheist|agnostic",
        r"|vegan|vegetarian|pregnant|sick|tired|happy|sad|here|back|ready|home|great|good|well|late|done|lost|new|curious|bored|hungry|interested|looking|trying|writing|working|thinking|wondering|currently|just|still|also|always|glad|afraid|sure|really|so|in|from",
        r"|gay|straight|lesbian|bi|trans|queer|asexual|single|married|divorced|engaged|widowed|taken|deaf|blind|mute|autistic|diabetic|disabled|bald|blonde|left-handed|adopted|retired|unemployed|self-employed|employed|fired|hired|broke|rich|poor|alone|lonely|busy|right|wrong|open|available",
        r"|unsure|certain|okay|ok|fine|alright|excited|worried|confused|stuck|scared|angry|mad|sorry|serious|kidding|joking|dead|alive|ill|better|worse|cold|hot|old|young|tall|short|big|small|out|off|away|up|down|in|on|at|not|no|a|an|the|your|my|his|her|all|one|over|done|gone|leaving|going|coming|learning|moving|having|being|getting|feeling",
        r"|black|white|brown|latino|latina|native|human|male|female|nonbinary|non-binary|dyslexic|depressed|anxious|drunk|sober|awake|exhausted|overwhelmed|grateful|thankful|proud|ashamed|embarrassed|frustrated|disappointed|stressed|relaxed|calm|nervous|surprised|shocked|amazed|impressed|allergic|able|unable|willing|due|used|based|born|raised|involved|fresh|free|safe",
        r"|israeli|iraqi|pakistani|bangladeshi|emirati|somali|nepali|kuwaiti|saudi|omani|yemeni|qatari|bahraini|azerbaijani|kazakh|uzbek|afghan|punjabi|bengali|gujarati|kashmiri|tamil|marathi|kurdish|iranian|persian|cuban|filipino|filipina|latinx|roma|inuit|cherokee|navajo|zionist|orthodox|lutheran|evangelical|mormon|amish|sunni|shia|hindi|jain|baptist|methodist|anglican|pagan|wiccan",
        r"|\p{L}+(?:ptic|stic|etic|atic|xic|holic|phrenic|panic|andic|lavic|rdic|lytic|paretic|rexic|limic|negic|plegic|lexic)|\p{L}{3,}ist|bipolar|hiv\S*|infertile|sterile|obese|overweight|underweight|paraly[sz]ed|suicidal|addicted|infected|undocumented|homeless|transgender|intersex|cis|conservative|liberal|republican|democrat|celiac|coeliac|neurodivergent|adhd|ocd|ptsd|vaccinated|unvaccinated|menopausal|terminal|incontinent|impotent|celibate|virgin|polyamorous|monogamous|separated|childless",
        r"|mom|mum|mama|dad|papa|mother|father|sister|brother|wife|husband|team|project|head|chief|senior|junior|vice|co-\p{L}+|ceo|cto|manager|director|lead|student|teacher|doctor|engineer|nobody|someone|somebody|everyone|anonymous)(?: |$)"
    ))
});
/// Where nobody lives, and what nobody works as, for or at: words that stand for something else, times, and what is done so.
static NOWHERE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^(?:a|an|my|our|your|his|her|their|it|this|that|these|those|here|there|one|two|what|which|where|who|me|you|him|them|us|fear|hope|peace|town|bed|home|work|night|least|free|hours|weekends|days|years|months|money|nothing|fun|food|living|minimum|someone|somebody|myself",
        r"|hard|harder|much|well|fast|quickly|quick|long|usual|normal|part|such|before|always|intended|expected|little|often|if|many|soon|far|everyone|anyone|both|all|some|any|now|tips|peanuts|change|it|day|dawn|dusk|noon|midnight|christmas|weeks?|minutes?|a living|once|expected",
        r"|we|they|he|she|planned|agreed|promised|requested|required|eine[mnrs]?|ein|mein\w*|unser\w*|dein\w*|sein\w*|ihre\w*|diese\w*|jede\w*|mir|dir|uns|mich|dich|euch|ihm|ihn|ihr|ihnen|hause|(?:der |die )?nacht|(?:dem |den )?tag|tageslicht|regen|hitze|kälte|licht|kerzenlicht|gelegenheit|bedarf|freund\w*|bekannten|verwandten|eltern|wind|schnee|sonne\w*|musik|vollmond|dunkelheit|lärm|geld|umsonst|wenig|viel|ruhm|niemand\w*|zwei|drei|alle\w*|dir selbst|ob|wenn|wie",
        r"|घर|एक|इस|उस|यहाँ|यहां|वहाँ|वहां)(?: |$)"
    ))
});
/// What somebody works at or for that is no firm: how long, how fast, what they do, for what.
static NO_FIRM: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^(?:\d+|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|half|several|few|drei|vier|fünf|sechs|sieben|acht|neun|zehn|zwölf|mehrere|einige|(?-i:\p{Ll}+ing))(?: |$)",
        r"|(?:^| )(?:hours?|stunden?|speed|capacity|heights?|pace|intervals?|rates?|wages?|pay|salary|equality|justice|charity|survival|pleasure|exposure|commission|success|freedom|volume|temperatures?",
        r"|(?:mindest|hunger|stunden)?lohn|gehalt|frieden|klimaschutz|umweltschutz|erfolg|zukunft|hoffnung|bezahlung|anerkennung|veränderung|verbesserung|rente|urlaub|\p{L}+(?:heit|keit))(?: |$)"
    ))
});
/// How people live in German, which is written like a place.
static NO_TOWN: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?:^| )\p{L}+(?:ung|heit|keit|schaft|nähe|weite|beziehung)(?: |$)"));
/// What stays true when this part is over: with whom, when and how somebody lives or works there.
static PART: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r" (?:alone|with|together|on (?:\p{L}+days?|my own|our own|holidays?)|full[- ]time|part[- ]time|every|each|most|during|as much|at (?:night|nights|weekends?|the weekend)|in (?:the )?(?:mornings?|evenings?|afternoons?|spring|summers?|autumn|fall|winters?)",
        r"|allein\w*|mit|zusammen|am \p{L}*(?:tag|abend|morgen|ende)s?|an \p{L}+(?:tagen|enden)|im (?:frühling|frühjahr|sommer|herbst|winter)|jede[nms]?|nachts|abends|tagsüber|vormittags|nachmittags|vollzeit|teilzeit|unter der woche|अकेले|अकेला|अकेली|के साथ)(?: |$)"
    ))
});
/// The same of a place alone, where "for" names no firm.
static PART_THERE: LazyLock<Regex> = LazyLock::new(|| pattern(r" (?:for|für)(?: |$)"));
/// How long somebody stays who does not live there.
static STAY: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r" (?:for|für) (?:\S+ ){0,3}?(?:days?|nights?|weeks?|weekends?|months?|years?|semesters?|terms?|summers?|winters?|while|bit|tage?n?|wochen?|monate?n?|jahre?n?)(?: |$)",
    )
});
/// What people are in or move to that is no place.
static NO_PLACE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^(?:windows|linux|ubuntu|debian|mac|macos|android|iphone|ios|slack|teams|zoom|github|gitlab|python|rust|java|javascript|typescript|go|excel|word|chrome|firefox|postgres\w*|mysql|aws|azure|kubernetes|docker)(?: |$)",
        r"|(?:^| )(?:fear|peace|harmony|denial|poverty|exile|sin|luxury|pain|agony|misery|terror|danger|doubt|chaos|squalor|solitude|isolation|silence|darkness|shame|grief|sorrow|despair|anxiety|stress|debt|comfort|style|conditions|circumstances|times?|world|era|age|moment|past|present|future|dreams?|fantasy|bliss|sadness|loneliness|hell|heaven|limbo|shock|awe",
        r"|angst|frieden|armut|hause|zuhause|schmerz\w*|sorgen?|trauer|not|gefahr|scheidung|trennung|beziehung|partnerschaft|ehe|untermiete|miete|wg|saus|einsamkeit|ungewissheit|unsicherheit|stress|schulden|luxus|exil|sünde|stille|freiheit|verhältnissen|umständen|zeiten|welt|vergangenheit|zukunft|gegenwart|haus|wohnung)(?: |$)"
    ))
});
/// Places that are known without a capital.
static KNOWN_PLACE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^(?:berlin|hamburg|munich|münchen|cologne|köln|frankfurt|stuttgart|leipzig|dresden|vienna|wien|zurich|zürich|geneva|genf|bern|basel|graz|salzburg|london|paris|rome|rom|madrid|barcelona|lisbon|lissabon|porto|dublin|edinburgh|glasgow|manchester|birmingham|leeds|bristol|oxford|cambridge|amsterdam|rotterdam|brussels|brüssel|copenhagen|kopenhagen|oslo|stockholm|helsinki|warsaw|warschau|krakow|prague|prag|budapest|bucharest|sofia|athens|athen|istanbul|ankara|moscow|moskau|kyiv|kiev",
        r"|new york|nyc|los angeles|san francisco|chicago|boston|seattle|austin|houston|dallas|denver|miami|atlanta|philadelphia|washington|toronto|montreal|vancouver|mexico city|sao paulo|rio de janeiro|buenos aires|santiago|lima|bogota|cairo|nairobi|lagos|johannesburg|cape town|dubai|abu dhabi|doha|riyadh|tel aviv|tehran|karachi|lahore|dhaka|kathmandu|colombo|delhi|new delhi|mumbai|bombay|bangalore|bengaluru|chennai|kolkata|hyderabad|pune|jaipur|ahmedabad|lucknow|goa|singapore|bangkok|hanoi|jakarta|manila|kuala lumpur|hong kong|taipei|shanghai|beijing|tokyo|osaka|kyoto|seoul|sydney|melbourne|brisbane|perth|auckland",
        r"|augsburg|bochum|bonn|braunschweig|bremen|chemnitz|dortmund|duisburg|düsseldorf|erfurt|essen|freiburg|gelsenkirchen|göttingen|halle|hannover|hanover|heidelberg|karlsruhe|kassel|kiel|lübeck|magdeburg|mainz|mannheim|münster|nürnberg|nuremberg|osnabrück|potsdam|regensburg|rostock|saarbrücken|tübingen|ulm|wuppertal|würzburg|innsbruck|linz|lausanne|luzern|winterthur|lyon|marseille|bordeaux|toulouse|nantes|lille|nice|milan|mailand|turin|naples|neapel|florence|florenz|venice|venedig|bologna|seville|sevilla|valencia|malaga|bilbao|antwerp|ghent|utrecht|the hague|eindhoven|gothenburg|malmö|bergen|aarhus|tallinn|riga|bandung|taichung|kaohsiung|vilnius|gdansk|wroclaw|bratislava|ljubljana|zagreb|belgrade|reykjavik|liverpool|newcastle|sheffield|nottingham|cardiff|belfast|cork|galway|brighton|york|portland|phoenix|san diego|san jose|las vegas|detroit|minneapolis|pittsburgh|nashville|orlando|tampa|baltimore|cleveland|charlotte|salt lake city|ottawa|calgary|quebec|indore|bhopal|nagpur|surat|kanpur|patna|kochi|noida|gurgaon|gurugram|chandigarh|varanasi|mysore|adelaide|canberra|wellington|usa?|uk|uae|united (?:states|kingdom|arab emirates)|philippines|niederlande|romania|bulgaria|hungary|ungarn|czechia|tschechien|slovakia|slovenia|croatia|kroatien|serbia|iceland|island|israel|iran|iraq|thailand|vietnam|indonesia|malaysia|taiwan|chile|peru|colombia|morocco|ghana|ethiopia|tanzania|hawaii|oregon|colorado|bavaria|bayern|tuscany|toskana|provence|cornwall|germany|deutschland|austria|österreich|switzerland|france|frankreich|spain|spanien|italy|italien|portugal|england|scotland|wales|ireland|irland|netherlands|belgium|belgien|denmark|dänemark|sweden|schweden|norway|norwegen|finland|finnland|poland|polen|greece|griechenland|turkey|russia|russland|ukraine|india|indien|china|japan|korea|canada|kanada|mexico|brazil|brasilien|argentina|australia|australien|new zealand|neuseeland|south africa|südafrika|egypt|ägypten|kenya|nigeria|pakistan|bangladesh|nepal|sri lanka|texas|california|florida|europe|europa",
        r"|(?:नई )?दिल्ली|मुंबई|मुम्बई|पुणे|बेंगलुरु|बेंगलुरू|बैंगलोर|बंगलौर|चेन्नई|कोलकाता|हैदराबाद|अहमदाबाद|सूरत|जयपुर|लखनऊ|कानपुर|नागपुर|इंदौर|इन्दौर|भोपाल|पटना|वाराणसी|बनारस|आगरा|मथुरा|मेरठ|प्रयागराज|इलाहाबाद|गोरखपुर|नोएडा|नोयडा|गुड़गाँव|गुड़गांव|गुरुग्राम|ग़ाज़ियाबाद|गाज़ियाबाद|गाजियाबाद|फ़रीदाबाद|फरीदाबाद|चंडीगढ़|लुधियाना|अमृतसर|जालंधर|शिमला|देहरादून|हरिद्वार|ऋषिकेश|जम्मू|श्रीनगर|रांची|राँची|रायपुर|जबलपुर|ग्वालियर|उज्जैन|जोधपुर|उदयपुर|कोटा|अजमेर|वडोदरा|राजकोट|नासिक|गोवा|कोच्चि|मैसूर|मैसूरु|भुवनेश्वर|गुवाहाटी|विशाखापत्तनम|भारत|हिंदुस्तान|हिन्दुस्तान|बिहार|पंजाब|हरियाणा|राजस्थान|गुजरात|महाराष्ट्र|केरल|कर्नाटक|तमिलनाडु|तेलंगाना|असम|ओडिशा|झारखंड|छत्तीसगढ़|उत्तराखंड|हिमाचल प्रदेश|उत्तर प्रदेश|मध्य प्रदेश|आंध्र प्रदेश|पश्चिम बंगाल|कश्मीर|नेपाल|काठमांडू|पाकिस्तान|लाहौर|कराची|बांग्लादेश|ढाका|दुबई|अमेरिका|अमरीका|कनाडा|जर्मनी|बर्लिन|लंदन|लन्दन|इंग्लैंड|पेरिस|फ्रांस|न्यूयॉर्क|न्यू यॉर्क|सिंगापुर|ऑस्ट्रेलिया|जापान|टोक्यो|चीन|रूस|मॉस्को)(?: |$)"
    ))
});
/// What stands before the name of a place.
static PART_OF_PLACE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(concat!(
        r"^(?:(?:the )?(?:(?:city|town|state|suburbs|outskirts|north|south|east|west|centre|center|middle|heart) of|downtown|central|inner|outer|greater|upstate|rural|northern|southern|eastern|western|north|south|east|west)",
        r"|(?:der )?(?:nähe|stadt|mitte) (?:von )?|(?:nörd|süd|öst|west)lich(?:en)?(?: von)?) "
    ))
});
const MONTHS: &str = concat!(
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?|jän(?:ner)?|januar|februar|märz|mai|juni|juli|oktober|okt|dezember|dez",
    r"|जनवरी|फ़?रवरी|फ\u{93c}रवरी|मार्च|अप्रैल|मई|जून|जुलाई|अगस्त|सितंबर|सितम्बर|अक्टूबर|अक्तूबर|नवंबर|नवम्बर|दिसंबर|दिसम्बर)\.?"
);
/// A day, a month or a year, and nothing that is said of one.
static DAY: LazyLock<Regex> = LazyLock::new(|| {
    let number = r"(?:[\d०-९]{1,2}(?:st|nd|rd|th|\.)?|\p{L}*(?:th|first|second|third)|\p{L}+te[nr]?)";
    let year = r"(?:,? (?:in )?[\d०-९]{4})";
    pattern(&format!(
        r"^(?:(?:in|on|the|early|late|mid|am|im|den|der|dem|jahr|anfang|mitte|ende) )*(?:{number},?(?: of)? ?{MONTHS}{year}?|{MONTHS}(?: (?:the )?{number})?{year}?|[\d०-९]{{1,4}}[./-][\d०-९]{{1,2}}(?:[./-][\d०-९]{{0,4}})?|[\d०-९]{{4}}|(?:christmas|new year['’]?s?|boxing|valentine['’]?s)(?: eve| day)?|halloween|heiligabend|silvester|neujahr|(?:erste[rn]? |zweite[rn]? )?weihnacht\w*)(?: (?:and|und|और|by the way|every|each|at|um|in|near|को|में|की|jedes)(?: .*)?)?$"
    ))
});
/// Places that have an article.
static ARTICLE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^(?:the|der|die|dem|den|das) "));
const WITH_ARTICLE: [&str; 11] = [
    "uk",
    "us",
    "usa",
    "netherlands",
    "philippines",
    "uae",
    "schweiz",
    "türkei",
    "niederlanden",
    "ukraine",
    "slowakei",
];

/// What of a text stands before what follows a value.
pub(super) fn until_behind(named: &str) -> &str {
    &named[..BEHIND.find(named).map_or(named.len(), |found| found.start())]
}

/// Whether what is over is only a part: "live in Berlin alone". The rest may go on.
pub(super) fn is_partial(kind: Value, named: &str) -> bool {
    let named = until_behind(named);
    matches!(kind, Value::Place | Value::Work | Value::Workplace) && PART.is_match(named)
        || kind == Value::Place && PART_THERE.is_match(named)
}

/// The value as attributes have it; `None` when it is none.
pub(super) fn valued(kind: Value, value: &str, is_greeting: bool) -> Option<String> {
    if kind == Value::Any {
        return Some(String::new());
    }
    let until = |pattern: &Regex, value: &str| pattern.find(value).map_or(value.len(), |found| found.start());
    let (whole, mut value) = (value, until_behind(value).trim());
    // Scripts without capitals write everything so.
    let is_capital = |c: char| c.is_uppercase() || c.is_alphabetic() && !c.is_lowercase();
    let is_written = |value: &str| value.chars().next().is_some_and(is_capital);
    let is_hindi = value.chars().next().is_some_and(is_sign);
    let is_named = matches!(kind, Value::Name | Value::Proper | Value::Called | Value::Introduced);
    if NOT.is_match(value) || is_named && POSTPOSITION.is_match(whole) {
        return None;
    }
    let is_one = match kind {
        Value::Any => true,
        Value::Day => DAY.is_match(value),
        Value::Name | Value::Proper | Value::Called | Value::Introduced => {
            value = value[..until(&BEHIND_NAMES, value)].trim();
            let has_letters = value.chars().all(|c| c.is_alphabetic() || is_sign(c) || " .'’-".contains(c));
            let is_origin = ORIGIN.is_match(value) && !PERSON.is_match(value);
            let is_called = is_written(value) && value.split_whitespace().count() <= 3 && !NO_PERSON.is_match(value);
            let is_proper = is_called && !is_origin;
            let is_short =
                value.split_whitespace().count() <= if value.is_ascii() && !is_written(value) { 2 } else { 4 };
            let fits = match kind {
                Value::Name => is_short && (is_written(value) || !NO_PERSON.is_match(value) && !is_origin),
                Value::Called => is_called,
                Value::Proper => is_proper,
                _ => {
                    is_greeting
                        && is_proper
                        && value.split_whitespace().all(is_written)
                        && value.chars().filter(|c| c.is_uppercase()).count() <= 3
                        && value.chars().any(char::is_lowercase)
                }
            };
            has_letters && fits && !NO_NAME.is_match(value)
        }
        Value::Place | Value::KnownPlace => {
            if STAY.is_match(value) {
                return None;
            }
            value = without_article(value[..until(&BEHIND_NAMES, value)].trim());
            let is_known = |of: &str| KNOWN_PLACE.is_match(of) || WITH_ARTICLE.contains(&of.to_lowercase().as_str());
            let of = &value[PART_OF_PLACE.find(value).map_or(0, |found| found.end())..];
            let is_place = |of: &str| is_known(of) || kind == Value::Place && is_written(of) && !is_hindi;
            let is_none =
                NOWHERE.is_match(value) || NO_PLACE.is_match(value) || NO_TOWN.is_match(value) && !is_known(value);
            !is_none && [value, of].iter().any(|of| is_place(of))
        }
        Value::Work | Value::Workplace => {
            value = value[..until(&BEHIND_NAMES, value)].trim();
            let own = without_article(value);
            let is_work = (own.len() == value.len() || is_written(own))
                && (kind == Value::Work || !is_hindi || WORKPLACE.is_match(own));
            let is_none =
                NOWHERE.is_match(value) || NOWHERE.is_match(own) || kind == Value::Workplace && NO_FIRM.is_match(own);
            value = own;
            is_work && !is_none
        }
        Value::Thing | Value::Endured | Value::Interest | Value::Allergen => {
            value = value.trim_end_matches(|c: char| !c.is_alphanumeric() && !is_sign(c));
            let is_other = match kind {
                Value::Endured => UPRIGHT.is_match(value),
                Value::Interest => PROGRESS.is_match(value),
                Value::Allergen => NO_ALLERGEN.is_match(value),
                _ => false,
            };
            if is_other || EMPTY.is_match(value) || CLAUSE.is_match(value) {
                return None;
            }
            value = &value[BEFORE.find(value).map_or(0, |found| found.end())..];
            value = value[..until(&AFTER, value)].trim();
            !EMPTY.is_match(value) && !is_article(value)
        }
    };
    let is_value = !value.is_empty()
        && value.chars().any(char::is_alphanumeric)
        && value.chars().count() <= MAX_VALUE_CHARS
        && value.split_whitespace().count() <= MAX_VALUE_WORDS;
    (is_one && is_value).then(|| value.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" "))
}

fn without_article(value: &str) -> &str {
    &value[ARTICLE.find(value).map_or(0, |found| found.end())..]
}

/// Whether a character is a sign of a vowel, as names in Hindi have them.
const fn is_sign(c: char) -> bool {
    matches!(c, '\u{900}'..='\u{94f}' | '\u{300}'..='\u{36f}')
}

fn is_article(value: &str) -> bool {
    BEFORE.is_match(&format!("{value} ")) || AFTER.is_match(&format!(" {value}"))
}
