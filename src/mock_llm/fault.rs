//! What can go wrong at an upstream, to be had on demand.

use std::time::Duration;

use bytes::Bytes;

/// How the mock answers one chat completion.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Fault {
    /// As it should.
    #[default]
    None,
    /// Takes the request and closes the connection without an answer.
    Refuse,
    /// Answers with a status and a body.
    Status {
        /// The HTTP status.
        status: u16,
        /// The headers, `Retry-After` or `Location` for example.
        headers: Vec<(String, String)>,
        /// The body.
        body: String,
    },
    /// Takes the request and never answers.
    StallHeaders,
    /// Is so much later with its first token.
    Slow(Duration),
    /// Says nothing more after so many tokens; 0: after the head.
    Stall(usize),
    /// As [`Fault::Stall`], but with comments that keep the connection alive.
    StallPinging(usize),
    /// Breaks the connection after so many tokens.
    Cut(usize),
    /// Ends the body properly after so many tokens, without a finish and without `[DONE]`.
    End(usize),
    /// Tells the finish, but no `[DONE]`.
    NoDone,
    /// Sends `[DONE]`, but no finish.
    NoFinish,
    /// Answers with a whole completion where a stream was asked for.
    Json,
    /// Refuses requests in which it finds something, and answers the others.
    Strict(Strict),
    /// Writes calls of tools in a way of its own, and everything else as it should.
    Tools(Quirk),
    /// Could not read the call that its model wrote, and quotes it: with a 400, or in the stream after so many words.
    ToolUseFailed(Option<usize>),
    /// Answers every other request, from the second on, and refuses the others with a 500.
    Flapping,
    /// Sends these pieces, one write each, as the body of the stream.
    Raw {
        /// What is sent.
        pieces: Vec<Bytes>,
        /// How long it waits after each piece; the body ends after the last wait.
        pause: Duration,
    },
}

/// What a server does not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strict {
    /// `stream_options`.
    StreamOptions,
    /// The older name of the limit.
    MaxTokens,
    /// The newer name of the limit.
    MaxCompletionTokens,
    /// `temperature`, whatever its value.
    Temperature,
    /// Instructions with a role of their own.
    System,
    /// A beginning of the answer.
    Prefill,
    /// A beginning of the answer that ends with white space.
    BlankPrefill,
    /// Roles that do not alternate, from the user's on.
    Alternate,
    /// Tools.
    Tools,
}

/// How calls of tools differ from what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quirk {
    /// All of them have the index 0.
    IndexZero,
    /// None has an index.
    NoIndex,
    /// All of them come whole, in one event.
    OneDelta,
    /// Arguments are an object and no string.
    ArgsObject,
    /// The arguments come whole once more, behind their pieces.
    ArgsRepeat,
    /// The arguments are no JSON: their last bracket is missing.
    ArgsBroken,
    /// The model's marks stand behind the name.
    NameGarbage,
    /// The name is in every piece.
    NameEvery,
    /// Every piece has another id.
    IdChanges,
    /// The finish reason is `stop`.
    FinishStop,
    /// One call, as `function_call`.
    Old,
    /// Calls without end, as long as it may.
    Loop,
    /// The limit is reached within the arguments of the last call.
    Length,
    /// Calls a tool that nobody has offered.
    Unknown,
}
