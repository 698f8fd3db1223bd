//! Splits Rust source into what is code and what is comment, line by line, so that a rule about code
//! is not fooled by a string or a comment that mentions it.

/// The same lines twice: once with comments and literals' contents blanked, once with only comments left.
pub(super) struct Views {
    pub(super) code: Vec<String>,
    pub(super) comments: Vec<String>,
}

/// Splits `text`. Knows nested comments, (raw, byte, C) strings, and a lifetime from a character.
pub(super) fn split(text: &str) -> Views {
    let mut lexer =
        Lexer { chars: text.chars().collect(), at: 0, code: String::new(), comments: String::new() };
    lexer.run();
    let lines = |s: &str| s.split('\n').map(str::to_owned).collect();
    Views { code: lines(&lexer.code), comments: lines(&lexer.comments) }
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    code: String,
    comments: String,
}

#[derive(Copy, Clone)]
enum To {
    Code,
    Comment,
    Neither,
}

impl Lexer {
    fn run(&mut self) {
        while self.at < self.chars.len() {
            if self.looks_at("//") {
                self.line_comment();
            } else if self.looks_at("/*") {
                self.block_comment();
            } else if let Some(hashes) = self.raw_string_here() {
                self.raw_string(hashes);
            } else if self.chars[self.at] == '"' {
                self.string();
            } else if self.chars[self.at] == '\'' && self.is_char_literal() {
                self.char_literal();
            } else {
                self.take(1, To::Code);
            }
        }
    }

    fn peek(&self, ahead: usize) -> char {
        self.chars.get(self.at + ahead).copied().unwrap_or('\0')
    }

    fn looks_at(&self, what: &str) -> bool {
        what.chars().enumerate().all(|(i, c)| self.peek(i) == c)
    }

    /// Moves `n` characters to one view, leaving blanks in the other; line ends go to both.
    fn take(&mut self, n: usize, to: To) {
        for _ in 0..n {
            let Some(&c) = self.chars.get(self.at) else { return };
            self.at += 1;
            let blank = if c == '\n' { '\n' } else { ' ' };
            self.code.push(if matches!(to, To::Code) { c } else { blank });
            self.comments.push(if matches!(to, To::Comment) { c } else { blank });
        }
    }

    fn line_comment(&mut self) {
        while self.at < self.chars.len() && self.peek(0) != '\n' {
            self.take(1, To::Comment);
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        loop {
            if self.looks_at("/*") {
                depth += 1;
                self.take(2, To::Comment);
            } else if self.looks_at("*/") {
                depth -= 1;
                self.take(2, To::Comment);
            } else {
                self.take(1, To::Comment);
            }
            if depth == 0 || self.at >= self.chars.len() {
                return;
            }
        }
    }

    /// The number of hashes if a raw string starts here: `r"`, `r#"`, `br"`, `cr#"`.
    fn raw_string_here(&self) -> Option<usize> {
        let before = self.at.checked_sub(1).map_or(' ', |i| self.chars[i]);
        if before.is_alphanumeric() || before == '_' {
            return None;
        }
        let r = match (self.peek(0), self.peek(1)) {
            ('r', _) => 1,
            ('b' | 'c', 'r') => 2,
            _ => return None,
        };
        let hashes = (r..).take_while(|&i| self.peek(i) == '#').count();
        (self.peek(r + hashes) == '"').then_some(hashes)
    }

    fn raw_string(&mut self, hashes: usize) {
        while self.peek(0) != '"' {
            self.take(1, To::Code);
        }
        self.take(1, To::Code);
        let end: String = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
        while self.at < self.chars.len() && !self.looks_at(&end) {
            self.take(1, To::Neither);
        }
        self.take(1 + hashes, To::Code);
    }

    fn string(&mut self) {
        self.take(1, To::Code);
        while self.at < self.chars.len() && self.peek(0) != '"' {
            self.take(if self.peek(0) == '\\' { 2 } else { 1 }, To::Neither);
        }
        self.take(1, To::Code);
    }

    /// `'x'` and `'\n'` are characters; `'a` in `&'a str` is not.
    fn is_char_literal(&self) -> bool {
        self.peek(1) == '\\' || self.peek(2) == '\''
    }

    fn char_literal(&mut self) {
        self.take(1, To::Code);
        while self.at < self.chars.len() && self.peek(0) != '\'' {
            self.take(if self.peek(0) == '\\' { 2 } else { 1 }, To::Neither);
        }
        self.take(1, To::Code);
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn code_and_comments_part_ways() {
        let v = split("let a = \"// no {\"; // yes {\nlet b = '{'; /* x /* y */ z */ f::<'a>(r#\"}\"}\"#);");
        assert_eq!(v.code[0].trim_end(), "let a = \"       \";");
        assert_eq!(v.comments[0].trim(), "// yes {");
        assert!(!v.code[1].contains('{') && !v.code[1].contains('}'), "{}", v.code[1]);
        assert!(v.code[1].contains("f::<'a>("), "{}", v.code[1]);
        assert_eq!(v.comments[1].trim(), "/* x /* y */ z */");
    }

    #[test]
    fn an_escaped_quote_ends_nothing() {
        let v = split(r#"f("a\"b", '\'', "c"); g()"#);
        assert!(v.code[0].ends_with("; g()"), "{}", v.code[0]);
        assert!(!v.code[0].contains('b'), "{}", v.code[0]);
    }
}
