//! What of a Markdown document its reader sees: no comments, no tags, no hidden elements, no definitions of links. Pure.
//!
//! Blocks and spans are found by a parser, so that what only looks like markup, in code above all, stays as it is. An
//! element that is not closed hides what follows, as in a browser.

use std::ops::Range;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::html::{Cut, Html};

/// The text without what a reader of the rendered document does not see.
pub(super) fn visible(text: &str) -> String {
    let mut document = Document { text, html: Html::default(), definitions: Vec::new(), seen: 0 };
    // What most renderers have; without them, a footnote would be taken for a definition.
    let options = Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES;
    for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
        document.take(&event, range);
    }
    document.cover(text.len()..text.len());
    let mut cuts = document.html.end(text.len());
    cuts.extend(document.definitions);
    without(text, cuts)
}

struct Document<'a> {
    text: &'a str,
    html: Html,
    definitions: Vec<Cut>,
    /// Up to here everything was part of something.
    seen: usize,
}

impl Document<'_> {
    fn take(&mut self, event: &Event<'_>, range: Range<usize>) {
        match event {
            Event::End(TagEnd::HtmlBlock) => return self.html.pause(range.end),
            Event::End(_) => return,
            // Between the parts of these is nothing but their marks, and definitions.
            Event::Start(Tag::BlockQuote(_) | Tag::List(_) | Tag::Item) => return self.html.block(range.start),
            Event::Start(Tag::FootnoteDefinition(_)) => {
                self.html.block(range.start);
                let label = self.text[range.clone()].find("]:").map_or(0, |at| at + "]:".len());
                return self.cover(range.start..range.start + label);
            }
            Event::Html(_) => self.html.read(self.text, range.clone()),
            Event::InlineHtml(_) => {
                self.html.read(self.text, range.clone());
                self.html.pause(range.end);
            }
            Event::Start(Tag::Paragraph | Tag::Heading { .. } | Tag::CodeBlock(_) | Tag::Table(_)) | Event::Rule => {
                self.html.block(range.start);
            }
            _ => {}
        }
        self.cover(range);
    }

    /// This is a part of the document. What was before it, and of no part, has no other brackets than those of definitions.
    fn cover(&mut self, part: Range<usize>) {
        if let Some(gap) = self.text.get(self.seen..part.start)
            && let Some(at) = gap.find('[')
        {
            self.definitions.push(Cut { range: self.seen + at..part.start, instead: "" });
        }
        self.seen = self.seen.max(part.end);
    }
}

fn without(text: &str, mut cuts: Vec<Cut>) -> String {
    cuts.sort_by_key(|cut| cut.range.start);
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for Cut { range, instead } in cuts {
        out.push_str(text.get(at..range.start).unwrap_or_default());
        at = at.max(range.end);
        let is_apart = out.ends_with(char::is_whitespace) || text[at..].starts_with(char::is_whitespace);
        if !is_apart {
            out.push_str(instead);
        }
    }
    out.push_str(&text[at..]);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn shows(text: &str, wanted: &str) {
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words(&visible(text)), words(wanted), "{text:?}");
    }

    #[test]
    fn definitions_of_links_are_not_shown_wherever_they_stand() {
        for hidden in [
            "[comment]: # (Obey me)",
            "[//]: # \"Obey me\"",
            "[x]: <> 'Obey me'",
            "[x]: http://e.x \"Obey me\"",
            "[obey me]: http://e.x",
            "[x]:\n  /x\n  (obey\n  me)",
            "[x]: # (one)\n[x]: # (two)\n[X]: # (three)",
        ] {
            shows(&format!("One.\n\n{hidden}\n\nTwo."), "One. Two.");
            shows(&format!("{hidden}\n\nTwo."), "Two.");
            shows(&format!("# One\n{hidden}\nTwo."), "# One Two.");
            shows(&format!("One.\n\n{hidden}"), "One.");
        }
        shows("> One.\n>\n> [c]: # (Obey me)\n>\n> Two.", "> One. > > Two.");
        shows("- One\n- [c]: # (Obey me)\n- Two", "- One - Two");
        shows("- One\n\n  [c]: # (Obey\n  me)\n\n  Two", "- One Two");
        shows("[^1]: A footnote.\n\n[^2]: Word\n\nText[^1] and[^2].", "[^1]: A footnote. [^2]: Word Text[^1] and[^2].");
    }

    #[test]
    fn what_only_looks_like_a_definition_is_shown() {
        for shown in [
            "One.\n[x]: # (Not one within a paragraph)",
            "[INFO]: the server has started",
            "    [x]: # (code)",
            "```\n[x]: # (code)\n```",
            "- [ ] to do\n- [x] done\n- [a link](http://e.x \"title\") and [none]\n- \\[x]: y",
            "| a | b |\n|---|---|\n| [x]: | # (y) |",
            "Use `[x]: #` for it.",
        ] {
            shows(shown, shown);
        }
    }

    #[test]
    fn hidden_elements_go_with_all_that_is_in_them() {
        for (open, close) in [
            ("<div style=\"display:none\">", "</div>"),
            ("<div\n  class='a>b'\n  style='color: red; DISPLAY : NONE !important'>", "</div>"),
            ("<div hidden>", "</div>"),
            ("<DIV HIDDEN=\"\">", "</Div>"),
            ("<span style=\"visibility: hidden\">", "</span>"),
            ("<span style=font-size:0px>", "</span>"),
            ("<b style='font: 0/0 a'>", "</b>"),
            ("<i style=\"opacity:0.0\">", "</i>"),
            ("<p style='color:transparent'>", "</p>"),
            ("<span style=\"dis\\70 lay:none\">", "</span>"),
            ("<span style=\"display&#58;none\">", "</span>"),
            ("<span style=\"display:/**/none\">", "</span>"),
            ("<div style=\"position:absolute;left:-9999px\">", "</div>"),
            ("<template>", "</template>"),
            ("<script>", "</script>"),
            ("<style>", "</style>"),
            ("<noscript>", "</noscript>"),
            ("<dialog>", "</dialog>"),
        ] {
            shows(&format!("One.\n\n{open}Obey me{close}\n\nTwo."), "One. Two.");
            shows(&format!("One {open}obey me{close} two."), "One two.");
            if !open.starts_with("<p ") {
                let blocks = "# Obey\n\n- me\n\n> <b>now</b>";
                shows(&format!("One.\n\n{open}\n\n{blocks}\n\n{close}\n\nTwo."), "One. Two.");
            }
        }
        shows("One <div hidden>a <div>b</div> c</div> two", "One two");
        shows("One <div hidden>`</div>` obey me</div> two.", "One two.");
        shows("<div hidden>\n\n```\n</div>\n```\n\nObey me\n\n</div>\n\nTwo.", "Two.");
        shows("<p>`<div hidden>` obey me</div>\nstill one block</p>", "` still one block");
        shows("One.\n\n<p hidden>Obey me\n\nTwo.", "One. Two.");
        shows("One.\n\n<div hidden>\n\nObey me.", "One.");
        shows("One.\n\n<div hidden\n\nObey me>", "One.");
        shows("One.\n\n<div><!-- Obey\n\nme.\n\n<p>-->Two.</p>", "One. Two.");
    }

    #[test]
    fn what_is_shown_stays_and_its_tags_go() {
        shows("<b>Bo</b>ld, one<br>two, a < b > c, 1 <2", "Bold, one two, a < b > c, 1 <2");
        shows("<table><tr><td>a</td><td>b</td></tr></table>", "a b");
        shows("<div align=\"center\" data-x=\"Obey me\">\n\nText\n\n</div>", "Text");
        shows("<details><summary>More</summary>\n\nText\n\n</details>", "More Text");
        shows("<div aria-hidden=\"true\" style=\"display: block\">Text</div>", "Text");
        shows("<img src=x alt=y hidden> <input type=hidden value=\"Obey me\"> Text", "Text");
        shows("See <https://e.x/a?b> or <a@e.x>.", "See <https://e.x/a?b> or <a@e.x>.");
        for shown in ["`<div hidden>` x", "```html\n<div hidden>x</div>\n```", "\\<div hidden> x", "    <b hidden>x"] {
            shows(shown, shown);
        }
    }

    proptest! {
        #[test]
        fn any_markup_is_survived_and_nothing_is_made_up(
            text in "(<div hidden>|</div>|<p|<!--|-->|>|\"|='|\\[a\\]: b\n|\n|> |- |`|```\n|é|a |<b>|</b>){0,40}",
        ) {
            let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            let shown = letters(&visible(&text));
            let mut all = letters(&text).chars().collect::<Vec<_>>().into_iter();
            prop_assert!(shown.chars().all(|c| all.any(|other| other == c)), "{shown}");
        }
    }
}
