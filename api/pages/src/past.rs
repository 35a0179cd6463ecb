//! Pages of the past: what they link to is of the same event, and nothing on them can be changed.
//!
//! Links and forms stand in many templates. Instead of each of them, the finished page is gone through once: every text
//! in it is escaped, so a quotation mark ends an attribute wherever it stands.

/// The parameter that names the event.
pub const AS_OF: &str = "as_of";

/// An address with the parameter; one that has it stays as it is.
pub(crate) fn carry(address: &str, as_of: &str) -> String {
    if address.split(['?', '&']).skip(1).any(|pair| pair.starts_with("as_of=")) {
        return address.to_owned();
    }
    let (place, fragment) = address.find('#').map_or((address, ""), |at| address.split_at(at));
    let joint = if place.contains('?') { '&' } else { '?' };
    format!("{place}{joint}{AS_OF}={as_of}{fragment}")
}

/// A page whose links to routes and pages carry the parameter, whose forms that read do, and which has no forms that
/// change something.
pub(crate) fn carried(html: &str, as_of: &str) -> String {
    let mut written = String::with_capacity(html.len() + 1024);
    let mut rest = html;
    let mut is_main = false;
    while let Some(at) = rest.find('<') {
        let end = rest[at..].find('>').map_or(rest.len(), |end| at + end + 1);
        written.push_str(&rest[..at]);
        let tag = &rest[at..end];
        is_main |= tag.starts_with("<main");
        if tag.starts_with("<a ") {
            written.push_str(&link(tag, as_of));
        } else if tag.starts_with("<form ") && tag.contains("method=\"get\"") {
            for part in [tag, "<input type=\"hidden\" name=\"", AS_OF, "\" value=\"", as_of, "\">"] {
                written.push_str(part);
            }
        } else if is_main && tag.starts_with("<form ") {
            // Forms do not stand in each other: it ends with the next end.
            let length = rest[end..].find(FORM_END).map_or(rest.len() - end, |at| at + FORM_END.len());
            rest = &rest[end + length..];
            continue;
        } else {
            written.push_str(tag);
        }
        rest = &rest[end..];
    }
    written.push_str(rest);
    written
}

/// The same of an address in an attribute.
fn written_carry(address: &str, as_of: &str) -> String {
    if address.contains("as_of=") {
        address.to_owned()
    } else {
        carry(address, as_of).replace("&as_of=", "&amp;as_of=")
    }
}

/// A link with the parameter, if it leads to a route or a page that may take it.
fn link(tag: &str, as_of: &str) -> String {
    const HREF: &str = "href=\"";
    let Some(begin) = tag.find(HREF).map(|at| at + HREF.len()) else { return tag.to_owned() };
    let Some(length) = tag[begin..].find('"') else { return tag.to_owned() };
    // As it is written, with what is escaped in it.
    let address = &tag[begin..begin + length];
    let leads = ["/v1/", "/ui/", "?"].into_iter().any(|start| address.starts_with(start));
    if !leads || tag.contains(TO_NOW) || ONLY_NOW.iter().any(|path| address.starts_with(path)) {
        return tag.to_owned();
    }
    format!("{}{}{}", &tag[..begin], written_carry(address, as_of), &tag[begin + length..])
}

/// Marks the link that leads from a page of the past to the present.
const TO_NOW: &str = "data-testid=\"page-now\"";
const FORM_END: &str = "</form>";

/// What knows nothing of the past.
const ONLY_NOW: [&str; 6] =
    ["/ui/operation", "/ui/request", "/v1/projections", "/v1/log/", "/v1/usage-receipts", "/ui/assets/"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_a_page_lead_to_the_same_event_and_nothing_on_it_is_changed() {
        let html = r#"<nav><a class="x" href="/ui/home">h</a><form method="post" action="/ui/sign-out"></form></nav>
<main id="main"><a href="/v1/invoices/A?line=2&amp;open=1#l">i</a><a href="?cursor=3&amp;as_of=7">n</a>
<a href="/v1/projections">p</a><a href="/v1/events?as_of=5">e</a><form method="get" action="/v1/events"><input></form>
<a href="?ask=rename#d">r</a><a href="?" data-testid="page-now">now</a><a href="/v1/x?q=&quot;">q</a><form class="f" method="post"><button>b</button></form><p>href=&quot;/v1/x&quot;</p></main>"#;
        let expected = r#"<nav><a class="x" href="/ui/home?as_of=7">h</a><form method="post" action="/ui/sign-out"></form></nav>
<main id="main"><a href="/v1/invoices/A?line=2&amp;open=1&amp;as_of=7#l">i</a><a href="?cursor=3&amp;as_of=7">n</a>
<a href="/v1/projections">p</a><a href="/v1/events?as_of=5">e</a><form method="get" action="/v1/events"><input type="hidden" name="as_of" value="7"><input></form>
<a href="?ask=rename&amp;as_of=7#d">r</a><a href="?" data-testid="page-now">now</a><a href="/v1/x?q=&quot;&amp;as_of=7">q</a><p>href=&quot;/v1/x&quot;</p></main>"#;
        assert_eq!(carried(html, "7"), expected);
    }
}
