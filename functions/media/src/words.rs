//! Words of NG as people write them: in any case, with spaces, underscores or dashes.

/// One spelling for all: lower case, dashes.
pub(crate) fn normal(word: &str) -> String {
    word.to_ascii_lowercase().replace([' ', '_'], "-")
}

/// What stands behind a prefix, in whatever case that is.
pub(crate) fn behind<'a>(word: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = word.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}
