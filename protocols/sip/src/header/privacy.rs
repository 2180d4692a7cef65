//! Privacy, RFC 3323 §4.2 and RFC 3325 §9.3.

/// What somebody wants kept private: the values of all Privacy header fields of a message.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Privacy {
    /// `id`: the identity that the network asserts.
    pub id: bool,
    /// `header`: what shows the way that a message took.
    pub header: bool,
    /// `session`: where the media go.
    pub session: bool,
    /// `user`: what the user agent says of its user.
    pub user: bool,
    /// `critical`: rather nothing than without it.
    pub critical: bool,
}

impl Privacy {
    /// Reads the values of a message's Privacy header fields. `none`, and what is not known, ask for
    /// nothing.
    pub fn of<'a>(lines: impl Iterator<Item = &'a str>) -> Privacy {
        let mut out = Privacy::default();
        for value in lines.flat_map(|line| line.split(';')) {
            match value.trim().to_ascii_lowercase().as_str() {
                "id" => out.id = true,
                "header" => out.header = true,
                "session" => out.session = true,
                "user" => out.user = true,
                "critical" => out.critical = true,
                _ => {}
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_from_all_lines() {
        let read = |lines: &[&'static str]| Privacy::of(lines.iter().copied());
        let all = Privacy { id: true, header: true, session: true, user: true, critical: true };
        assert_eq!(read(&["header; SESSION;user", "id;critical"]), all);
        for nothing in [&["none"][..], &[], &["history;x,y"], &[""]] {
            assert_eq!(read(nothing), Privacy::default());
        }
    }
}
