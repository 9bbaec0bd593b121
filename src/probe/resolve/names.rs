//! Names as DNS has them: from text, to text, and the list of names that a search list makes of one.

use hickory_resolver::proto::rr::Name;

use crate::net::sanitize::foreign_text;

/// The name below the root, whatever its labels hold: resolvers ask for `payments_db` too, which is no host name by
/// RFC 952 but works. `None` when a label is empty or the whole is too long (RFC 1035, section 2.3.4).
pub fn absolute(host: &str) -> Option<Name> {
    let bare = host.strip_suffix('.').unwrap_or(host);
    if bare.is_empty() {
        return (host == ".").then(Name::root);
    }
    // An empty label is refused by `from_labels`, and so is one above 63 bytes.
    let mut name = Name::from_labels(bare.split('.').map(str::as_bytes)).ok()?;
    name.set_fqdn(true);
    Some(name)
}

/// A name without the root's dot, fit to be shown.
pub fn printed(name: &Name) -> Box<str> {
    let text = name.to_ascii();
    let bare = match text.strip_suffix('.') {
        Some("") | None => &text,
        Some(bare) => bare,
    };
    foreign_text(bare.as_bytes(), 255)
}

/// The names to try, as resolv.conf(5) says: with enough dots the name itself comes first, otherwise the search list.
pub fn candidates(host: &str, search: &[Name], ndots: usize) -> Vec<Name> {
    let own = absolute(host);
    if host.ends_with('.') {
        return own.into_iter().collect();
    }
    let searched = search.iter().filter_map(|domain| {
        let domain = printed(domain);
        let domain = if &*domain == "." { "" } else { &domain };
        absolute(&format!("{host}.{domain}"))
    });
    let mut names: Vec<Name> = if host.matches('.').count() >= ndots {
        own.into_iter().chain(searched).collect()
    } else {
        searched.chain(own).collect()
    };
    // A search list that names the root gives the name itself once more.
    let mut seen: Vec<Name> = Vec::with_capacity(names.len());
    names.retain(|name| {
        let new = !seen.contains(name);
        if new {
            seen.push(name.clone());
        }
        new
    });
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(host: &str, ndots: usize) -> Vec<Box<str>> {
        let search: Vec<Name> = ["shop.test", "test"].into_iter().filter_map(absolute).collect();
        candidates(host, &search, ndots).iter().map(printed).collect()
    }

    #[test]
    fn the_search_list_comes_first_where_dots_are_few() {
        assert_eq!(texts("api", 1).join(" "), "api.shop.test api.test api");
        assert_eq!(
            texts("api.eu", 1).join(" "),
            "api.eu api.eu.shop.test api.eu.test"
        );
        assert_eq!(
            texts("api.eu", 5).join(" "),
            "api.eu.shop.test api.eu.test api.eu"
        );
        assert_eq!(texts("api.", 5).join(" "), "api");
    }

    #[test]
    fn names_that_are_no_host_names_can_be_asked_for() {
        for name in ["payments_db", "_dmarc.shop.test", "a_.b", "xn--bcher-kva.test"] {
            assert_eq!(&*printed(&absolute(name).unwrap()), name);
        }
        assert_eq!(absolute("a..b"), None);
        assert_eq!(absolute(""), None);
        assert_eq!(absolute(&"a".repeat(64)), None);
        assert_eq!(absolute(&"a.".repeat(128)), None);
        assert_eq!(&*printed(&absolute(".").unwrap()), ".");
    }
}
