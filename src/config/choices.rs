//! Settings that are one of a few words. Pure.

use super::declare::choice;

choice! {
    /// What the gateway insists on.
    Environment {
        /// Anything that works.
        Development = "development",
        /// Refuses settings that are unsafe in public.
        Production = "production",
    }
}

choice! {
    /// What becomes of an answer that nobody watches any more.
    Abandon {
        /// It is written to its end.
        Finish = "finish",
        /// It is stopped after a while.
        Stop = "stop",
    }
}

choice! {
    /// Who answers when no target does.
    Fallback {
        /// Nobody: the run fails.
        None = "none",
        /// The extractive model, which says so.
        Extractive = "extractive",
        /// The rules of an assistant, which say so, too.
        Rules = "rules",
    }
}

impl Fallback {
    /// Those that there are for all assistants together: rules belong to one.
    pub(super) const OF_ALL: &[&str] = &[Self::None.name(), Self::Extractive.name()];
}

choice! {
    /// What becomes of a request to `/v1` for functions that need not be used, for tools where no target takes any, for JSON, or
    /// for another length of answers.
    Unsupported {
        /// It is refused, and says by name why.
        Refuse = "refuse",
        /// It is answered in text, as if it had not been asked for.
        Text = "text",
    }
}

choice! {
    /// What of what a user says is remembered as a fact.
    Extract {
        /// Nothing but what a tool is called for.
        Off = "off",
        /// What rules find.
        Rules = "rules",
    }
}

choice! {
    /// Who knows what was told an assistant.
    KnownTo {
        /// It alone.
        Assistant = "assistant",
        /// All assistants of the user that say so.
        User = "user",
    }
}

choice! {
    /// How log lines look.
    LogFormat {
        /// For people.
        Pretty = "pretty",
        /// For machines.
        Json = "json",
    }
}

choice! {
    /// Who stays with the variant of an assistant that was drawn.
    DrawnBy {
        /// A user, in all conversations; a conversation where it is not known who that is.
        User = "user",
        /// A conversation.
        Session = "session",
    }
}

choice! {
    /// When an assistant looks into the documents.
    KnowledgeMode {
        /// For every question, before the model is asked.
        Always = "always",
        /// Never.
        Off = "off",
    }
}
