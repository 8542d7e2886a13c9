//! HTML pages. What a browser does not show is not text, and neither is what a page has around its content: by the elements
//! that say so (`main`, `article`, `nav`), not by guesses that would lose content. Pure.

use dom_query::{Document, NodeRef};

use super::{
    block::Block,
    error::ExtractError,
    html::{ENDS_PARAGRAPH, INLINE, is_hidden},
    out::Out,
};

/// No page has more elements and pieces of text.
const MAX_NODES: usize = 1_000_000;
/// How deeply elements may be nested; browsers stop at 512.
const MAX_DEPTH: usize = 4096;
/// How much of a table is looked at to tell whether it is one.
const TABLE_SAMPLE: usize = 2000;
/// The most cells that one is said to cover.
const MAX_SPAN: usize = 100;
/// Elements of pages that are to be used rather than read.
const CONTROLS: [&str; 5] = ["button", "select", "nav", "input", "textarea"];
/// What a page has around its content, by role.
const AROUND: [&str; 6] = ["navigation", "banner", "contentinfo", "search", "menu", "menubar"];
/// What makes a table a way to arrange things.
const NO_CELL: [&str; 10] = ["table", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "pre"];

/// Reads a page.
pub(super) fn read(text: &str, out: &mut Out) -> Result<(), ExtractError> {
    let page = Page::parse(text)?;
    out.title = page.title();
    page.write(out)
}

/// A page that was parsed.
pub(super) struct Page(Document);

impl Page {
    /// Takes a page apart. One that is nested without end would take it hours, and is refused.
    pub(super) fn parse(text: &str) -> Result<Self, ExtractError> {
        if depth(text) > MAX_DEPTH {
            return Err(ExtractError::damaged("it is nested too deeply"));
        }
        Ok(Self(Document::from(text)))
    }

    /// Its only main heading, or what it says in its head.
    pub(super) fn title(&self) -> Option<String> {
        let mut headings = self.nodes("h1");
        let heading = headings.pop().filter(|_| headings.is_empty());
        let heading = heading.map(|node| node.text()).filter(|text| !text.trim().is_empty());
        let title = heading.or_else(|| self.nodes("head title").first().map(|node| node.text()));
        title.map(|title| title.to_string()).filter(|title| !title.trim().is_empty())
    }

    /// Writes what it shows.
    pub(super) fn write(&self, out: &mut Out) -> Result<(), ExtractError> {
        let mut walk = Walk { out, text: String::new(), block: Kind::Paragraph, pre: 0, nodes: 0, tables: Vec::new() };
        let body = self.0.body().unwrap_or_else(|| self.0.root());
        let (root, is_content) = self.content().map_or((body, false), |content| (content, true));
        walk.walk(root, is_content)?;
        walk.flush()
    }

    /// The one element that says that it is the content.
    fn content(&self) -> Option<NodeRef<'_>> {
        let only = |selector| {
            let mut found = self.nodes(selector);
            found.pop().filter(|_| found.is_empty())
        };
        let length = |node: &NodeRef<'_>| node.text().split_whitespace().map(str::len).sum::<usize>();
        let main = only("main, [role=main]").filter(|main| length(main) > 0);
        let body = || self.0.body().map_or(0, |body| length(&body));
        main.or_else(|| only("article").filter(|article| length(article) * 2 > body()))
    }

    /// The elements of a selector that are shown.
    fn nodes(&self, selector: &str) -> Vec<NodeRef<'_>> {
        let found = self.0.select(selector).nodes().to_vec();
        found
            .into_iter()
            .filter(|node| !hides(node) && !node.ancestors_it(None).any(|node| hides_element(&node)))
            .collect()
    }
}

/// What a piece of text is.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Heading(usize),
    Item,
    Paragraph,
    Code,
}

/// A table that is being read.
#[derive(Default)]
struct Rows {
    rows: Vec<Vec<String>>,
    /// Whether it only arranges things: then its cells are pieces of their own.
    is_layout: bool,
}

struct Walk<'a> {
    out: &'a mut Out,
    text: String,
    block: Kind,
    pre: usize,
    nodes: usize,
    tables: Vec<Rows>,
}

impl Walk<'_> {
    /// Goes through the tree without recursion, since pages can be nested without end.
    fn walk(&mut self, root: NodeRef<'_>, is_content: bool) -> Result<(), ExtractError> {
        let mut node = root;
        loop {
            self.nodes += 1;
            if self.nodes > MAX_NODES {
                return Err(ExtractError::TooLargeUnpacked);
            }
            let is_shown = self.enter(&node, is_content)?;
            if let Some(child) = node.first_child().filter(|_| is_shown) {
                node = child;
                continue;
            }
            loop {
                if node.is_element() {
                    self.leave(&node)?;
                }
                if node.id == root.id {
                    return Ok(());
                }
                if let Some(next) = node.next_sibling() {
                    node = next;
                    break;
                }
                let Some(parent) = node.parent() else { return Ok(()) };
                node = parent;
            }
        }
    }

    /// Takes the beginning of a node; whether what is in it is shown.
    fn enter(&mut self, node: &NodeRef<'_>, is_content: bool) -> Result<bool, ExtractError> {
        if node.is_text() {
            self.words(&node.text());
            return Ok(true);
        }
        if !node.is_element() {
            return Ok(!node.is_comment());
        }
        if hides(node) || is_around(node, is_content) {
            return Ok(false);
        }
        let Some(name) = node.node_name() else { return Ok(true) };
        match &*name {
            "br" => self.text.push('\n'),
            "table" => {
                self.flush()?;
                let is_layout = node.attr("role").is_some_and(|role| &*role == "presentation")
                    || node
                        .descendants_it()
                        .take(TABLE_SAMPLE)
                        .any(|node| NO_CELL.iter().any(|name| node.has_name(name)));
                self.tables.push(Rows { rows: Vec::new(), is_layout });
            }
            "tr" if self.in_table() => self.rows().rows.push(Vec::new()),
            "td" | "th" if self.in_table() => self.text.clear(),
            _ if self.in_table() => self.space(&name),
            "pre" => {
                self.flush()?;
                (self.block, self.pre) = (Kind::Code, self.pre + 1);
            }
            "li" => {
                self.flush()?;
                self.block = Kind::Item;
            }
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => {
                self.flush()?;
                self.block = Kind::Heading(usize::from(name.as_bytes()[1] - b'0'));
            }
            // The first paragraph of an item is the item.
            "p" if matches!(self.block, Kind::Item) && self.text.trim().is_empty() => {}
            name if INLINE.contains(&name) => {}
            _ => self.flush()?,
        }
        Ok(true)
    }

    fn leave(&mut self, node: &NodeRef<'_>) -> Result<(), ExtractError> {
        let Some(name) = node.node_name() else { return Ok(()) };
        match &*name {
            "table" => {
                if let Some(table) = self.tables.pop().filter(|table| !table.is_layout) {
                    self.text.clear();
                    self.out.table(&table.rows)?;
                }
                self.flush()
            }
            "caption" if self.in_table() => {
                let caption = std::mem::take(&mut self.text);
                self.out.paragraph(&caption)
            }
            "td" | "th" if self.in_table() => {
                let cell = std::mem::take(&mut self.text);
                let span = node.attr("colspan").and_then(|span| span.trim().parse().ok()).unwrap_or(1);
                let rows = &mut self.rows().rows;
                if rows.is_empty() {
                    rows.push(Vec::new());
                }
                if let Some(row) = rows.last_mut() {
                    row.push(cell);
                    row.extend((1..usize::min(span, MAX_SPAN)).map(|_| String::new()));
                }
                Ok(())
            }
            _ if self.in_table() => {
                self.space(&name);
                Ok(())
            }
            "pre" => {
                self.flush()?;
                self.pre = self.pre.saturating_sub(1);
                Ok(())
            }
            name if INLINE.contains(&name) || name == "br" => Ok(()),
            _ => self.flush(),
        }
    }

    /// White space is one space, but not where it is shown as it stands.
    fn words(&mut self, text: &str) {
        if self.pre > 0 {
            self.text.push_str(text);
            return;
        }
        let mut words = text.split_whitespace().peekable();
        if text.starts_with(char::is_whitespace) || words.peek().is_none() {
            self.space("");
        }
        while let Some(word) = words.next() {
            self.text.push_str(word);
            if words.peek().is_some() || text.ends_with(char::is_whitespace) {
                self.text.push(' ');
            }
        }
    }

    /// A space where an element divides words.
    fn space(&mut self, name: &str) {
        if !INLINE.contains(&name) && !self.text.is_empty() && !self.text.ends_with(char::is_whitespace) {
            self.text.push(' ');
        }
    }

    fn flush(&mut self) -> Result<(), ExtractError> {
        let text = std::mem::take(&mut self.text);
        let block = std::mem::replace(&mut self.block, if self.pre > 0 { Kind::Code } else { Kind::Paragraph });
        match block {
            Kind::Code => self.out.code(&text),
            Kind::Heading(level) => Block::Heading(level, text).write(self.out),
            Kind::Item => Block::Item(text).write(self.out),
            Kind::Paragraph => {
                let lines: Vec<&str> = text.lines().map(str::trim).collect();
                self.out.paragraph(&lines.join("\n"))
            }
        }
    }

    /// Whether cells are collected.
    fn in_table(&self) -> bool {
        self.tables.last().is_some_and(|table| !table.is_layout)
    }

    fn rows(&mut self) -> &mut Rows {
        if self.tables.is_empty() {
            self.tables.push(Rows::default());
        }
        let last = self.tables.len() - 1;
        &mut self.tables[last]
    }
}

/// How deeply a page is nested at most, by the tags of elements that only their own ends close.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for (at, _) in text.match_indices('<') {
        let rest = &text[at + 1..];
        let (is_end, rest) = rest.strip_prefix('/').map_or((false, rest), |rest| (true, rest));
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let is_tag = rest[end..].starts_with(|c: char| c.is_ascii_whitespace() || matches!(c, '>' | '/'));
        let name = rest[..end.min(16)].to_ascii_lowercase();
        if !is_tag
            || matches!(name.as_str(), "p" | "hr" | "wbr")
            || !(INLINE.contains(&name.as_str()) || ENDS_PARAGRAPH.contains(&name.as_str()))
        {
            continue;
        }
        depth = if is_end { depth.saturating_sub(1) } else { depth + 1 };
        deepest = deepest.max(depth);
    }
    deepest
}

/// Whether an element, or what it stands in, is not shown.
fn hides_element(node: &NodeRef<'_>) -> bool {
    node.is_element() && !node.has_name("head") && hides(node)
}

fn hides(node: &NodeRef<'_>) -> bool {
    let Some(name) = node.node_name() else { return false };
    if &*name == "title" && node.parent().is_some_and(|parent| parent.has_name("head")) {
        return false;
    }
    let attributes = node.attrs();
    is_hidden(&name, attributes.iter().map(|attribute| (&*attribute.name.local, &*attribute.value)))
}

/// Whether an element is around the content of its page.
fn is_around(node: &NodeRef<'_>, is_content: bool) -> bool {
    let role = node.attr("role");
    let is_named = CONTROLS.iter().any(|name| node.has_name(name))
        || role.is_some_and(|role| AROUND.contains(&role.to_ascii_lowercase().as_str()));
    // Headers and footers of sections belong to the content.
    let is_section = |node: NodeRef<'_>| ["article", "section", "main"].iter().any(|name| node.has_name(name));
    let is_of_page =
        || ["header", "footer"].iter().any(|name| node.has_name(name)) && !node.ancestors_it(None).any(is_section);
    is_named || (!is_content && is_of_page())
}
