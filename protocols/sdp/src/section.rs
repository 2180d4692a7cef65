//! The lines of one level of a description, each kept with its own bytes and line end.

/// One line with its line end.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Line {
    raw: Vec<u8>,
    end: usize,
}

impl Line {
    fn new(raw: Vec<u8>) -> Line {
        let end = match raw.as_slice() {
            [.., b'\r', b'\n'] => raw.len() - 2,
            [.., b'\n'] => raw.len() - 1,
            _ => raw.len(),
        };
        Line { raw, end }
    }

    fn kind(&self) -> Option<u8> {
        match self.text() {
            [kind, b'=', ..] => Some(*kind),
            _ => None,
        }
    }

    fn text(&self) -> &[u8] {
        &self.raw[..self.end]
    }

    fn value(&self) -> Option<&str> {
        std::str::from_utf8(self.text().get(2..)?).ok()
    }

    /// The value of `a=name:value`, or the empty text of `a=name`.
    fn attribute(&self, name: &str) -> Option<&str> {
        if self.kind() != Some(b'a') {
            return None;
        }
        let rest = self.value()?.strip_prefix(name)?;
        if rest.is_empty() { Some(rest) } else { rest.strip_prefix(':').map(str::trim) }
    }
}

/// The lines of the session level, or of one media section (its `m=` line first).
///
/// Whatever is not explicitly changed keeps its bytes, unknown lines and odd line ends included.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Section {
    lines: Vec<Line>,
}

impl Section {
    pub(crate) fn push_raw(&mut self, raw: &[u8]) {
        self.lines.push(Line::new(raw.to_vec()));
    }

    pub(crate) fn emit_into(&self, out: &mut Vec<u8>) {
        for line in &self.lines {
            out.extend_from_slice(&line.raw);
        }
    }

    /// Completes a missing line end, for a section that is to be followed by another line.
    pub(crate) fn close(&mut self) {
        let eol = self.line_end();
        if let Some(last) = self.lines.last_mut()
            && last.end == last.raw.len()
        {
            last.raw.extend_from_slice(eol);
        }
    }

    /// All lines without their line ends.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.lines.iter().map(Line::text)
    }

    /// The value of the first line of this kind, such as `b'c'`.
    pub fn line(&self, kind: u8) -> Option<&str> {
        self.lines.iter().find(|line| line.kind() == Some(kind))?.value()
    }

    /// Replaces the value of the first line of this kind, or inserts one where RFC 8866 §5 wants it.
    /// A line that already says so keeps its bytes.
    pub fn set_line(&mut self, kind: u8, value: &str) {
        let found = self.lines.iter().position(|line| line.kind() == Some(kind));
        match found {
            Some(at) if self.lines[at].value() == Some(value) => {}
            Some(at) => self.replace(at, kind, value),
            None => {
                let at = self
                    .lines
                    .iter()
                    .position(|line| line.kind().is_some_and(|other| rank(other) > rank(kind)))
                    .unwrap_or(self.lines.len());
                self.insert(at, kind, value);
            }
        }
    }

    /// Removes all lines of this kind.
    pub fn remove_lines(&mut self, kind: u8) {
        self.lines.retain(|line| line.kind() != Some(kind));
    }

    /// The value of the first attribute of this name; empty for a property attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes(name).next()
    }

    /// The values of all attributes of this name, in order.
    pub fn attributes(&self, name: &str) -> impl Iterator<Item = &str> {
        self.lines.iter().filter_map(move |line| line.attribute(name))
    }

    /// Whether an attribute of this name is present.
    pub fn has_attribute(&self, name: &str) -> bool {
        self.attribute(name).is_some()
    }

    /// Sets the first attribute of this name (an empty value makes a property attribute), or
    /// appends it. Further ones of the name are left alone.
    pub fn set_attribute(&mut self, name: &str, value: &str) {
        match self.lines.iter().position(|line| line.attribute(name).is_some()) {
            Some(at) if self.lines[at].attribute(name) == Some(value) => {}
            Some(at) => self.replace(at, b'a', &join(name, value)),
            None => self.add_attribute(name, value),
        }
    }

    /// Turns the first property attribute `old` into `new`, in its place.
    pub fn rename_attribute(&mut self, old: &str, new: &str) {
        if let Some(at) = self.lines.iter().position(|line| line.attribute(old) == Some("")) {
            self.replace(at, b'a', new);
        }
    }

    /// Appends an attribute.
    pub fn add_attribute(&mut self, name: &str, value: &str) {
        self.insert(self.lines.len(), b'a', &join(name, value));
    }

    /// Removes the attributes for which `unwanted(name, value)` holds.
    pub fn remove_attributes(&mut self, mut unwanted: impl FnMut(&str, &str) -> bool) {
        self.lines.retain(|line| {
            let (Some(b'a'), Some(text)) = (line.kind(), line.value()) else { return true };
            let (name, value) = text.split_once(':').unwrap_or((text, ""));
            !unwanted(name, value.trim())
        });
    }

    fn replace(&mut self, at: usize, kind: u8, value: &str) {
        let line = &self.lines[at];
        let mut raw = vec![kind, b'='];
        raw.extend_from_slice(value.as_bytes());
        raw.extend_from_slice(&line.raw[line.end..]);
        self.lines[at] = Line::new(raw);
    }

    fn insert(&mut self, at: usize, kind: u8, value: &str) {
        self.close();
        let mut raw = vec![kind, b'='];
        raw.extend_from_slice(value.as_bytes());
        raw.extend_from_slice(self.line_end());
        self.lines.insert(at, Line::new(raw));
    }

    fn line_end(&self) -> &'static [u8] {
        match self.lines.first() {
            Some(line) if line.raw.len() == line.end + 1 => b"\n",
            _ => b"\r\n",
        }
    }
}

fn join(name: &str, value: &str) -> String {
    if value.is_empty() { name.to_owned() } else { format!("{name}:{value}") }
}

/// The order of lines, RFC 8866 §5; the media order is a part of the session order.
fn rank(kind: u8) -> usize {
    b"vmosiuepcbtrzka".iter().position(|k| *k == kind).unwrap_or(usize::MAX)
}
