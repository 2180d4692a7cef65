//! Resource-Priority, RFC 4412 §3.1: `namespace.priority`.

use crate::lex::is_token;

/// One value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ResourcePriority<'a> {
    /// The namespace, such as `ets` or `wps`.
    pub namespace: &'a str,
    /// The priority in it.
    pub priority: &'a str,
}

impl<'a> ResourcePriority<'a> {
    /// Reads one element.
    pub fn parse(element: &'a str) -> Option<ResourcePriority<'a>> {
        let (namespace, priority) = element.trim().split_once('.')?;
        // Both are tokens without a point.
        let legal = |text: &str| is_token(text) && !text.contains('.');
        (legal(namespace) && legal(priority)).then_some(ResourcePriority { namespace, priority })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_words_and_a_point() {
        let value = ResourcePriority::parse(" wps.3 ").unwrap();
        assert_eq!((value.namespace, value.priority), ("wps", "3"));
        for wrong in ["", "wps", "wps.", ".3", "a.b.c", "a b.c", "ets.0;x"] {
            assert_eq!(ResourcePriority::parse(wrong), None, "{wrong}");
        }
    }
}
