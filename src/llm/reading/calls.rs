//! Calls of tools, put together from the pieces in which they come.
//!
//! What belongs together is told by index and id, as far as these can be believed: some servers give every call the same
//! index or none, some a new id with every piece, some repeat the name in each piece and some all of the arguments at the
//! end. Pure.

use std::{mem, sync::Arc};

use super::{
    arguments::{MAX_CALLS, arguments},
    rescue,
};
use crate::llm::{
    call::{Call, ToolOffer, ToolSpec},
    chunk::{CallPiece, Choice, Said},
    json::Text,
};

/// The most bytes of the arguments, names and ids of all of them together.
pub(super) const MAX_CALL_BYTES: usize = 64 << 10;
/// What some models write behind a name begins with this.
const MARK: &str = "<|";

/// An answer has more calls, or longer ones, than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMuch;

/// The calls of an answer as far as they have come.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// What may be called; none: calls are no answer.
    offered: Arc<[ToolSpec]>,
    /// Whether there may be one at the most.
    one_at_a_time: bool,
    begun: Vec<Begun>,
    bytes: usize,
    /// Some came in pieces, and not as messages alone.
    has_pieces: bool,
}

/// A call as far as it has come.
#[derive(Debug, Default)]
struct Begun {
    index: u64,
    id: Option<String>,
    name: String,
    arguments: Text<'static>,
    brackets: Brackets,
}

impl Calls {
    /// Whether there is none.
    pub(super) const fn is_empty(&self) -> bool {
        self.begun.is_empty()
    }

    /// What may be called.
    pub(super) fn offer(&mut self, tools: ToolOffer) {
        (self.offered, self.one_at_a_time) = (tools.tools, tools.one_at_a_time);
    }

    /// Whether something may be called.
    pub(super) fn are_wanted(&self) -> bool {
        !self.offered.is_empty()
    }

    /// Takes the calls out of a choice, of any: one answer was asked for, and some servers put its calls into another one.
    /// A message beside pieces, or behind them, says them once more. Whether there are some.
    pub(super) fn take(&mut self, choice: &mut Choice<'_>) -> Result<bool, TooMuch> {
        let (pieces, whole) = (taken(&mut choice.delta), taken(&mut choice.message));
        if !self.are_wanted() {
            return Ok(false);
        }
        self.has_pieces |= !pieces.is_empty();
        let said = if self.has_pieces { pieces } else { whole };
        let has_calls = !said.is_empty();
        said.into_iter().try_for_each(|piece| self.piece(piece))?;
        Ok(has_calls)
    }

    /// Takes the next piece.
    fn piece(&mut self, piece: CallPiece<'_>) -> Result<(), TooMuch> {
        let name = piece.name.as_deref().map(plain).filter(|name| !name.is_empty());
        let place = match self.place(&piece, name) {
            Some(place) => place,
            None if self.begun.len() == MAX_CALLS => return Err(TooMuch),
            None => {
                self.begun.push(Begun { index: piece.index, ..Begun::default() });
                self.begun.len() - 1
            }
        };
        let begun = &mut self.begun[place];
        // The first ones stay.
        let name = name.filter(|_| begun.name.is_empty());
        let id = piece.id.filter(|_| begun.id.is_none());
        self.bytes +=
            [name, id.as_deref(), Some(&*piece.arguments.text)].into_iter().flatten().map(str::len).sum::<usize>();
        if self.bytes > MAX_CALL_BYTES {
            return Err(TooMuch);
        }
        begun.name.push_str(name.unwrap_or_default());
        begun.id = begun.id.take().or(id.map(Into::into));
        begun.brackets.push(&piece.arguments.text);
        begun.arguments.append(piece.arguments);
        Ok(())
    }

    /// All of them, when nothing more comes. `None` when nobody can tell what one of them calls.
    pub(super) fn finish(&mut self) -> Option<Vec<Call>> {
        let call = |begun: Begun| Call { name: begun.name, arguments: arguments(&begun.arguments.mended()) };
        let begun = mem::take(&mut self.begun).into_iter().take(self.most());
        begun.map(|begun| (!begun.name.is_empty()).then(|| call(begun))).collect()
    }

    /// The calls in what a model wrote and its server could not read; instead of what came until then.
    pub(super) fn rescue(&mut self, written: &str) -> Option<Vec<Call>> {
        let mut calls = rescue::calls(written, &self.offered)?;
        calls.truncate(self.most());
        self.begun.clear();
        Some(calls)
    }

    const fn most(&self) -> usize {
        if self.one_at_a_time { 1 } else { MAX_CALLS }
    }

    /// The call that a piece goes on with; `None`: it begins one.
    fn place(&self, piece: &CallPiece<'_>, name: Option<&str>) -> Option<usize> {
        let known =
            self.begun.iter().rposition(|begun| begun.id.is_some() && begun.id.as_deref() == piece.id.as_deref());
        if let Some(at) = known {
            return (!self.begun[at].is_another(name)).then_some(at);
        }
        match self.begun.iter().rposition(|begun| begun.index == piece.index) {
            Some(at) => self.begun[at].goes_on_with(piece, name).then_some(at),
            // Nothing tells what it is of, so it is of the newest.
            None if piece.id.is_none() && name.is_none() => self.begun.len().checked_sub(1),
            None => None,
        }
    }
}

fn taken<'a>(said: &mut Option<Said<'a>>) -> Vec<CallPiece<'a>> {
    said.as_mut().map(|said| mem::take(&mut said.calls)).unwrap_or_default()
}

impl Begun {
    /// Whether `name` is that of something else.
    fn is_another(&self, name: Option<&str>) -> bool {
        name.is_some_and(|name| !self.name.is_empty() && name != self.name)
    }

    /// Whether a piece at the same index, with another id or with none, is of this call: not when it names something else,
    /// and not when it names the same once more although nothing is missing here.
    fn goes_on_with(&self, piece: &CallPiece<'_>, name: Option<&str>) -> bool {
        if name.is_none() {
            return true;
        }
        let more = piece.arguments.text.trim();
        let is_repeated = more.is_empty() || more == self.arguments.text.trim();
        !self.is_another(name) && (!self.brackets.are_closed || piece.id.is_none() && is_repeated)
    }
}

/// Whether all brackets of an object are closed that comes in pieces.
#[derive(Debug, Default)]
struct Brackets {
    depth: u32,
    is_quoted: bool,
    is_escaped: bool,
    are_closed: bool,
}

impl Brackets {
    fn push(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' if self.is_quoted => self.is_escaped = true,
                b'"' => self.is_quoted = !self.is_quoted,
                _ if self.is_quoted => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.are_closed |= self.depth == 1;
                    self.depth = self.depth.saturating_sub(1);
                }
                _ => {}
            }
        }
    }
}

/// A name without what models write behind it.
fn plain(name: &str) -> &str {
    name.split_once(MARK).map_or(name, |(name, _)| name).trim()
}
