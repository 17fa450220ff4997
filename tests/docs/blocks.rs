//! The fenced blocks of a page that ask to be checked.

/// What is done with a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Config,
    Frames,
    Run,
    Call,
}

impl Kind {
    pub fn is_shell(self) -> bool {
        matches!(self, Kind::Run | Kind::Call)
    }
}

/// One block.
#[derive(Debug)]
pub struct Block {
    pub kind: Kind,
    /// Line of its first line of text in the page, from 1.
    pub line: usize,
    pub lines: Vec<String>,
}

impl Block {
    pub fn text(&self) -> String {
        self.lines.join("\n")
    }

    /// The `media-gateway` lines: line in the page, and the words after the program's name.
    pub fn commands(&self) -> Vec<(usize, Vec<String>)> {
        let lines = self.lines.iter().enumerate();
        lines
            .filter_map(|(at, line)| Some((self.line + at, line.strip_prefix("media-gateway ")?)))
            .map(|(at, line)| (at, words(line)))
            .collect()
    }
}

/// The blocks of a page that are marked. A second word that is no mark is an error.
pub fn of(page: &str) -> Result<Vec<Block>, String> {
    let mut blocks = Vec::new();
    let mut lines = page.lines().enumerate();
    while let Some((_, line)) = lines.next() {
        let Some(info) = line.trim_start().strip_prefix("```") else {
            continue;
        };
        let mut text = Vec::new();
        let mut first = None;
        let is_closed = lines.by_ref().any(|(at, line)| {
            let is_end = line.trim_start().starts_with("```");
            if !is_end {
                first.get_or_insert(at + 1);
                text.push(line.to_owned());
            }
            is_end
        });
        if !is_closed {
            return Err(format!("a block is not closed: {line}"));
        }
        let kind = match info.split_whitespace().collect::<Vec<_>>()[..] {
            [] | [_] => continue,
            ["toml", "config"] => Kind::Config,
            ["json", "frames"] => Kind::Frames,
            ["sh", "run"] => Kind::Run,
            ["sh", "call"] => Kind::Call,
            _ => return Err(format!("no such mark: {line}")),
        };
        blocks.push(Block {
            kind,
            line: first.unwrap_or_default(),
            lines: text,
        });
    }
    Ok(blocks)
}

/// Words as a shell cuts them, as far as pages need it: quotes of both kinds, and comments.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for character in line.chars() {
        match (quote, character) {
            (Some(open), _) if open == character => quote = None,
            (Some(_), _) => word.get_or_insert_default().push(character),
            (None, '\'' | '"') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            (None, '#') if word.is_none() => break,
            (None, _) => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    words
}

#[test]
fn marked_blocks_are_found_and_others_passed_by() {
    let page = "a\n```sh\nignored\n```\n```sh run\nmedia-gateway ctl ping '{\"a b\":1}'  # why\nls\n```\n```json frames\n```\n";
    let blocks = of(page).unwrap();
    assert_eq!(
        blocks.iter().map(|block| block.kind).collect::<Vec<_>>(),
        [Kind::Run, Kind::Frames]
    );
    let words = ["ctl", "ping", "{\"a b\":1}"].map(str::to_owned).to_vec();
    assert_eq!(blocks[0].commands(), [(6, words)]);
}

#[test]
fn a_wrong_mark_and_an_open_block_are_errors() {
    assert!(of("```sh rnu\n```\n").unwrap_err().contains("no such mark"));
    assert!(of("```sh run\nls\n").unwrap_err().contains("not closed"));
}
