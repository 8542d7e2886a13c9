//! A source file as what matters to its neighbours: the modules it has, what it names, what it passes on.
//!
//! Files are taken apart by the compiler's own lexer, so that comments and texts mislead nobody and what stands in
//! macros counts. Items that exist in tests alone are left out.

use std::{
    collections::{HashMap, HashSet},
    fs,
    iter::Peekable,
    path::{Path, PathBuf},
    vec::IntoIter,
};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A module of the crate, in a file of its own or within one.
#[derive(Default)]
pub(super) struct Module {
    /// Its file, below `src`.
    pub(super) file: PathBuf,
    /// Its children by name, with their whole paths.
    pub(super) children: HashMap<String, String>,
    /// What it calls things that it gets from elsewhere.
    pub(super) imports: HashMap<String, Import>,
    /// Modules whose items it passes on, all of them.
    pub(super) globs: Vec<Vec<String>>,
    /// The names of its own items.
    pub(super) items: HashSet<String>,
    /// Every path in it, imports included.
    pub(super) paths: Vec<Vec<String>>,
}

pub(super) struct Import {
    pub(super) path: Vec<String>,
    /// `pub use`, in whatever width.
    passes_on: bool,
}

/// All modules by their paths: `crate`, `crate::llm`, `crate::llm::sse`.
pub(super) type Modules = HashMap<String, Module>;

/// Reads a crate's root and every file that it leads to.
pub(super) fn read(src: &Path, root: &str, modules: &mut Modules) {
    read_file(src, Path::new(root), "crate".to_owned(), modules);
}

fn read_file(src: &Path, file: &Path, path: String, modules: &mut Modules) {
    let text = fs::read_to_string(src.join(file)).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let tokens: TokenStream = text.parse().unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    read_module(src, file, path, tokens, modules);
}

fn read_module(src: &Path, file: &Path, path: String, tokens: TokenStream, modules: &mut Modules) {
    let mut module = Module { file: file.to_owned(), ..Module::default() };
    let mut tokens = product(tokens).peekable();
    let (mut passes_on, mut code) = (false, Vec::new());
    while let Some(token) = tokens.next() {
        match word(&token).as_deref() {
            Some("pub") => {
                passes_on = true;
                tokens.next_if(|next| matches!(next, TokenTree::Group(_)));
                continue;
            }
            Some("mod") => {
                let name = tokens.next().as_ref().and_then(word).expect("the name of a module");
                let child = format!("{path}::{name}");
                match tokens.next() {
                    Some(TokenTree::Group(body)) => read_module(src, file, child.clone(), body.stream(), modules),
                    _ => read_file(src, &child_file(src, file, &path, &name), child.clone(), modules),
                }
                module.children.insert(name, child);
            }
            Some("use") => {
                let tree: Vec<_> = tokens.by_ref().take_while(|token| !is_sign(token, ';')).collect();
                import(&mut module, &mut Vec::new(), tree.into_iter(), passes_on);
            }
            Some("struct" | "enum" | "fn" | "trait" | "type" | "const" | "static" | "union") => {
                module.items.extend(tokens.peek().and_then(word));
            }
            _ => code.push(token),
        }
        passes_on = false;
    }
    let mut named = HashSet::new();
    mention(&mut module, code.into_iter().collect(), &mut named);
    for (name, import) in &module.imports {
        // What is only passed on is not used here.
        if !import.passes_on || named.contains(name) {
            module.paths.push(import.path.clone());
        }
    }
    modules.insert(path, module);
}

/// Where the module `name` of the module `path` lies, whose own file is `file`.
fn child_file(src: &Path, file: &Path, path: &str, name: &str) -> PathBuf {
    let folder: PathBuf = path.split("::").skip(1).collect();
    let candidates = [folder.join(format!("{name}.rs")), folder.join(name).join("mod.rs")];
    let found = candidates.into_iter().find(|candidate| src.join(candidate).is_file());
    found.unwrap_or_else(|| panic!("{}: the file of `mod {name}` is nowhere", file.display()))
}

/// Adds what a `use` brings: `before` is the path up to this part of its tree.
fn import(module: &mut Module, before: &mut Vec<String>, tree: IntoIter<TokenTree>, passes_on: bool) {
    let depth = before.len();
    let mut tree = tree.peekable();
    let mut alias = None;
    loop {
        let token = tree.next();
        match &token {
            Some(TokenTree::Ident(_)) if token.as_ref().and_then(word).as_deref() == Some("as") => {
                alias = tree.next().as_ref().and_then(word);
            }
            Some(TokenTree::Ident(_)) => before.extend(token.as_ref().and_then(word)),
            Some(TokenTree::Group(group)) => {
                let inner: Vec<_> = group.stream().into_iter().collect();
                import(module, before, inner.into_iter(), passes_on);
                before.truncate(depth);
            }
            Some(token) if is_sign(token, '*') => {
                module.globs.push(before.clone());
                module.paths.extend((!passes_on).then(|| before.clone()));
                before.truncate(depth);
            }
            Some(token) if !is_sign(token, ',') => {} // `::`
            end => {
                if before.len() > depth {
                    let mut path = before.clone();
                    path.pop_if(|last| last == "self" && depth > 0);
                    let name = alias.take().or_else(|| path.last().cloned()).expect("a name");
                    module.imports.insert(name, Import { path, passes_on });
                }
                before.truncate(depth);
                if end.is_none() {
                    return;
                }
            }
        }
    }
}

/// Adds the paths of code, however deep they stand in it; `named` are their first names.
fn mention(module: &mut Module, code: TokenStream, named: &mut HashSet<String>) {
    let mut tokens = product(code).peekable();
    let mut follows_dot = false;
    while let Some(token) = tokens.next() {
        match &token {
            TokenTree::Group(group) => mention(module, group.stream(), named),
            TokenTree::Ident(ident) if ident == "use" => {
                let tree: Vec<_> = tokens.by_ref().take_while(|token| !is_sign(token, ';')).collect();
                import(module, &mut Vec::new(), tree.into_iter(), false);
            }
            // Who may use it, not what it uses.
            TokenTree::Ident(ident) if ident == "pub" => {
                tokens.next_if(|next| matches!(next, TokenTree::Group(_)));
            }
            TokenTree::Ident(_) if !follows_dot => {
                let mut path: Vec<_> = word(&token).into_iter().collect();
                while is_path_sign(&mut tokens) {
                    match tokens.next_if(|next| word(next).is_some()).as_ref().and_then(word) {
                        Some(segment) => path.push(segment),
                        None => break, // Generic arguments, or a tree of macros.
                    }
                }
                named.extend(path.first().cloned());
                // A single name is one of its own, or one that an import brought.
                module.paths.extend((path.len() > 1).then_some(path));
            }
            _ => {}
        }
        follows_dot = is_sign(&token, '.');
    }
}

/// Takes a `::`.
fn is_path_sign(tokens: &mut Peekable<impl Iterator<Item = TokenTree>>) -> bool {
    tokens.next_if(|next| is_sign(next, ':')).is_some() && tokens.next_if(|next| is_sign(next, ':')).is_some()
}

/// The tokens without attributes, and without what `#[cfg(test)]` keeps out of the product.
fn product(tokens: TokenStream) -> IntoIter<TokenTree> {
    let mut kept = Vec::new();
    let mut tokens = tokens.into_iter().peekable();
    let mut is_test = false;
    while let Some(token) = tokens.next() {
        if is_sign(&token, '#') {
            tokens.next_if(|next| is_sign(next, '!'));
            let attribute = tokens.next().map(|group| group.to_string().replace(' ', "")).unwrap_or_default();
            is_test |= attribute.starts_with("[cfg(") && attribute.contains("test") && !attribute.contains("not(test)");
            // The other of two files of one name.
            is_test |= attribute.starts_with("[path=");
            continue;
        }
        if !is_test {
            kept.push(token);
            continue;
        }
        let is_import = matches!(word(&token).as_deref(), Some("use" | "const" | "static"));
        let ends = |token: &TokenTree| {
            let is_body = matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace);
            is_sign(token, ';') || is_sign(token, ',') || (is_body && !is_import)
        };
        is_test = !ends(&token) && !tokens.by_ref().any(|token| ends(&token)) && tokens.peek().is_some();
    }
    kept.into_iter()
}

fn word(token: &TokenTree) -> Option<String> {
    match token {
        TokenTree::Ident(ident) => Some(ident.to_string().trim_start_matches("r#").to_owned()),
        _ => None,
    }
}

fn is_sign(token: &TokenTree, sign: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == sign)
}
