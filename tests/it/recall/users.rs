//! Made-up users and what they tell over a month, the same in every run: events that questions ask for, facts that change, and talk
//! about anything.

/// A question, and the turns that answer it.
pub(super) struct Question {
    pub(super) class: Class,
    pub(super) text: String,
    /// Numbers of turns; none for what was never told.
    pub(super) turns: Vec<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// Told once.
    Single,
    /// Told bit by bit, in three conversations.
    Several,
    /// Told once, and asked when.
    Time,
    /// Never told.
    Never,
}

pub(super) struct User {
    /// What they say in 30 conversations, two turns in each, in order.
    pub(super) turns: Vec<String>,
    pub(super) questions: Vec<Question>,
    /// What holds at the end: attribute, and a part of the text; `None` where nothing does.
    pub(super) holds: Vec<(String, Option<String>)>,
}

pub(super) const CONVERSATIONS: usize = 30;

const NAMES: [&str; 12] =
    ["Alice", "Bob", "Chandra", "Dieter", "Elif", "Farid", "Greta", "Hana", "Ivan", "Jonas", "Kavita", "Lena"];
const CITIES: [&str; 12] =
    ["Berlin", "Lisbon", "Oslo", "Delhi", "Porto", "Vienna", "Madrid", "Leeds", "Pune", "Graz", "Rome", "Tokyo"];
const JOBS: [&str; 8] = ["nurse", "teacher", "baker", "pilot", "lawyer", "gardener", "translator", "mechanic"];
const THINGS: [&str; 8] = ["coffee", "jazz", "olives", "chess", "swimming", "mushrooms", "horror films", "rainy days"];
const MONTHS: [&str; 6] = ["January", "March", "May", "July", "September", "November"];
const SUBJECTS: [&str; 6] = ["chemistry", "statistics", "history", "anatomy", "contract law", "linear algebra"];
const AUTHORS: [&str; 6] = ["Tolstoy", "Jane Austen", "Murakami", "Premchand", "Thomas Mann", "Toni Morrison"];
const INSTRUMENTS: [&str; 6] = ["cello", "sitar", "trumpet", "piano", "harp", "accordion"];
const PLANTS: [&str; 6] = ["tomatoes", "lavender", "basil", "strawberries", "sunflowers", "chillies"];
const GIFTS: [&str; 6] = ["teapot", "scarf", "puzzle", "radio", "hammock", "cookbook"];

/// What is told once, and two questions for it: what it was, and when.
const EVENTS: [(&str, &str, &str); 12] = [
    (
        "My sister {name} is getting married in {month}, and I still need a present",
        "When is my sister's wedding?",
        "When did I tell you about the wedding of my sister?",
    ),
    (
        "We booked a flight to {city} for our summer holidays",
        "Where do I want to go on holiday this summer?",
        "When did we book our holidays?",
    ),
    (
        "I have a dentist appointment on the {day}th of {month}, and I'm scared",
        "On which day do I have to see the dentist?",
        "When did I mention my fear of the dentist?",
    ),
    (
        "My car broke down on the motorway near {city} yesterday",
        "Where did my car break down?",
        "When did I have trouble with my car?",
    ),
    (
        "I am studying for my {subject} exam, which is very hard",
        "Which exam was I preparing for?",
        "When did I prepare for my exam?",
    ),
    (
        "I want to run the {city} marathon and train for it every morning",
        "Which marathon am I training for?",
        "When did I begin to train for a marathon?",
    ),
    (
        "I started to read a long novel by {author}",
        "Which author's novel did I start?",
        "When did I start reading that long novel?",
    ),
    (
        "I took my first {instrument} lesson today, my fingers hurt",
        "Which instrument am I learning to play?",
        "When did I have my first music lesson?",
    ),
    (
        "I planted {plant} on my balcony this weekend",
        "What did I plant on my balcony?",
        "When did I plant something on the balcony?",
    ),
    (
        "My colleague {name} got the promotion that I was hoping for",
        "Which colleague got promoted instead of me?",
        "When was a colleague promoted instead of me?",
    ),
    (
        "Our landlord is raising the rent by {day} percent",
        "By how much is my landlord raising the rent?",
        "When did I complain about the rent?",
    ),
    (
        "I bought a {gift} for my mother's seventieth birthday",
        "What did I buy my mother for her birthday?",
        "When did I buy the present for my mother?",
    ),
];

/// What is told in three conversations.
const SERIES: [(&str, [&str; 3]); 3] = [
    (
        "What have I cooked for my dinner guests so far?",
        [
            "I cooked {plant} soup for my dinner guests tonight",
            "My dinner guests got a curry that I cooked myself",
            "For dessert I cooked a rice pudding for my dinner guests",
        ],
    ),
    (
        "How many kilometres have I cycled on my bike tours?",
        [
            "My bike tour along the river was {day} kilometres long",
            "I did another bike tour, forty kilometres through the hills",
            "Today's bike tour was short, only twelve kilometres because of the wind",
        ],
    ),
    (
        "Which problems have we had with the new kitchen?",
        [
            "The fitters delivered our new kitchen without its doors",
            "The tap in our new kitchen leaks",
            "The oven of the new kitchen trips the fuse",
        ],
    ),
];

const NEVER: [&str; 10] = [
    "What is the name of my sailing boat?",
    "Which telescope did I order?",
    "What did my lawyer say about the inheritance?",
    "When is my knee going to be operated?",
    "Who won the poker night at my place?",
    "What colour is my motorbike?",
    "Which university did my grandfather go to?",
    "What was my score in the golf tournament?",
    "How many beehives do I keep?",
    "Which vaccine did I get before my safari?",
];

/// Talk about anything, some of it near to what is asked.
const TALK: [&str; 30] = [
    "Explain how a heat pump works",
    "Write a haiku about autumn leaves",
    "What is the difference between TCP and UDP?",
    "Give me a recipe for pancakes",
    "How do I remove red wine from a carpet?",
    "Summarise the plot of Hamlet in three sentences",
    "Which planets have rings?",
    "How long should I boil an egg?",
    "Suggest a name for a bakery",
    "What does the word serendipity mean?",
    "How does compound interest work?",
    "Translate good morning into Japanese",
    "What is the capital of Mongolia?",
    "Why is the sky blue?",
    "How do vaccines train the immune system?",
    "Give me five exercises for a stiff back",
    "What are the rules of cricket in short?",
    "How can I sleep better at night?",
    "Tell me a joke about programmers",
    "What should I look for when I buy a used bicycle?",
    "How do I write a letter of complaint?",
    "Compare electric and diesel cars for long distances",
    "How do people usually celebrate a wedding in India?",
    "Which novels won the Booker Prize lately?",
    "How do I tune a guitar?",
    "What is a fair rent increase in a big city?",
    "When is the best season for planting roses?",
    "How do dentists treat a root canal?",
    "Which muscles does running strengthen?",
    "How do I study more efficiently?",
];

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    fn of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }

    fn filled(&mut self, template: &str) -> String {
        let lists: [(&str, &[&str]); 9] = [
            ("{name}", &NAMES),
            ("{city}", &CITIES),
            ("{month}", &MONTHS),
            ("{subject}", &SUBJECTS),
            ("{author}", &AUTHORS),
            ("{instrument}", &INSTRUMENTS),
            ("{plant}", &PLANTS),
            ("{gift}", &GIFTS),
            ("{day}", &["5", "7", "9", "11", "14", "19"]),
        ];
        lists.iter().fold(template.to_owned(), |text, (mark, list)| {
            if text.contains(mark) { text.replace(mark, self.of(list)) } else { text }
        })
    }
}

/// So many users, five questions for each; the second of them tells the same as the first.
pub(super) fn users(count: u64) -> Vec<User> {
    (0..count).map(|number| user(number, if number == 1 { 0 } else { number })).collect()
}

fn user(number: u64, told: u64) -> User {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ (told + 1).wrapping_mul(0x2545_f491_4f6c_dd1d));
    let number = usize::try_from(number).unwrap();
    let (name, home, work, thing) = (dice.of(&NAMES), dice.below(12), dice.below(8), dice.of(&THINGS));
    let (moved, changed) = (CITIES[(home + 5) % 12], JOBS[(work + 3) % 8]);
    let facts = [
        (0, format!("My name is {name} and I live in {}", CITIES[home])),
        (3, format!("I work as a {} and I like {thing}", JOBS[work])),
        (6, format!("My dog is called {}", dice.of(&["Rex", "Bella", "Waldi", "Sheru"]))),
        (14, format!("I moved from {} to {moved}", CITIES[home])),
        (20, format!("I no longer like {thing}")),
        (24, format!("I got a new job as a {changed}")),
        (27, format!("I don't live in {}, that was my brother", CITIES[(home + 2) % 12])),
    ];
    let (events, series) = (dice.below(12), dice.below(3));
    // The first turn of a conversation is talk, the second something of the user.
    let mut turns = Vec::new();
    let mut at = [0; 12];
    let mut parts = Vec::new();
    for conversation in 0..CONVERSATIONS {
        turns.push(dice.of(&TALK).to_owned());
        let own = turns.len();
        turns.push(match conversation {
            _ if facts.iter().any(|(at, _)| *at == conversation) => {
                facts.iter().find(|(at, _)| *at == conversation).unwrap().1.clone()
            }
            8 | 13 | 22 => {
                parts.push(own);
                let template = SERIES[series].1[parts.len() - 1];
                dice.filled(template)
            }
            _ => {
                let event = at.iter().position(|place| *place == 0);
                match event {
                    Some(event) => {
                        at[event] = own;
                        dice.filled(EVENTS[event].0)
                    }
                    None => dice.of(&TALK).to_owned(),
                }
            }
        });
    }
    let event = |step: usize| (events + step * 5) % 12;
    let question = |class, text: &str, turns| Question { class, text: text.to_owned(), turns };
    let questions = vec![
        question(Class::Single, EVENTS[event(0)].1, vec![at[event(0)]]),
        question(Class::Single, EVENTS[event(1)].1, vec![at[event(1)]]),
        question(Class::Time, EVENTS[event(2)].2, vec![at[event(2)]]),
        question(Class::Several, SERIES[series].0, parts),
        question(Class::Never, NEVER[number % NEVER.len()], Vec::new()),
    ];
    let holds = vec![
        ("name".to_owned(), Some(name.to_owned())),
        ("place".to_owned(), Some(moved.to_owned())),
        ("job".to_owned(), Some(changed.to_owned())),
        (format!("likes:{thing}"), None),
        (format!("dislikes:{thing}"), Some(thing.to_owned())),
    ];
    User { turns, questions, holds }
}
