//! The few SLAP forms that tests and benchmarks send, with their marshalled values written out by hand.

use std::fmt::Write;

/// A form as `application/x-www-form-urlencoded` wants it.
pub fn form(fields: &[(&str, &str)]) -> String {
    let mut encoded = String::new();
    for (key, value) in fields {
        if !encoded.is_empty() {
            encoded.push('&');
        }
        percent_encode(key, &mut encoded);
        encoded.push('=');
        percent_encode(value, &mut encoded);
    }
    encoded
}

/// Appends a text with everything but unreserved characters (RFC 3986) percent-encoded.
pub fn percent_encode(text: &str, into: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            write!(into, "%{byte:02X}").expect("a string takes what is written to it");
        }
    }
}

/// A marshalled string.
pub fn marshalled_text(text: &str) -> String {
    format!("<marshal>{}</marshal>", element(text))
}

/// A marshalled dictionary of strings.
pub fn marshalled_dict(entries: &[(&str, &str)]) -> String {
    let entries: String = entries.iter().map(|(key, value)| element(key) + &element(value)).collect();
    format!("<marshal><dictionary id=\"i2\">{entries}</dictionary></marshal>")
}

/// Strings are escaped twice on this wire.
fn element(text: &str) -> String {
    let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!("<string>{}</string>", escape(&escape(text)))
}

/// `request()` of a user.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The name of the instance.
    pub reference: &'a str,
    /// What is to run.
    pub release: &'a str,
    /// Its parameters.
    pub parameters: &'a [(&'a str, &'a str)],
    /// The computer it is to be on; the default one, if empty.
    pub computer: &'a str,
    /// `started`, `stopped` or `destroyed`; as it is, if empty.
    pub state: &'a str,
}

impl Request<'_> {
    /// The form of `requestComputerPartition`.
    pub fn form(&self) -> String {
        match self.computer {
            "" => self.form_within(&[]),
            computer => self.form_within(&[("computer_guid", computer)]),
        }
    }

    /// The same with this filter.
    pub fn form_within(&self, filter: &[(&str, &str)]) -> String {
        let filter = marshalled_dict(filter);
        let state = match self.state {
            "" => "<marshal><none/></marshal>".to_owned(),
            state => marshalled_text(state),
        };
        form(&[
            ("software_release", self.release),
            ("software_type", "default"),
            ("partition_reference", self.reference),
            ("partition_parameter_xml", &marshalled_dict(self.parameters)),
            ("filter_xml", &filter),
            ("state", &state),
            ("shared_xml", "<marshal><bool>0</bool></marshal>"),
        ])
    }
}

/// The form of `loadComputerConfigurationFromXML` for a computer with partitions `slappart0` to `slappart{n-1}`.
pub fn configuration_form(computer: &str, partitions: usize) -> String {
    let mut list = String::new();
    for n in 0..partitions {
        let (third, fourth) = (n / 250, n % 250 + 1);
        let address = pairs(&[("addr", &format!("10.0.{third}.{fourth}")), ("netmask", "255.255.255.255")]);
        let tap = pairs(&[("name", &format!("slaptap{n}"))]);
        let user = pairs(&[("name", &format!("slapuser{n}"))]);
        write!(
            list,
            "<dictionary><string>address_list</string><list>{address}</list>{}{}<string>tap</string>{tap}\
             <string>user</string>{user}</dictionary>",
            element("reference"),
            element(&format!("slappart{n}")),
        )
        .expect("a string takes what is written to it");
    }
    let list = list.replace("<dictionary>", "<dictionary id=\"i4\">").replace("<list>", "<list id=\"i3\">");
    let xml = format!(
        "<marshal><dictionary id=\"i2\">{}{}{}{}<string>partition_list</string><list id=\"i3\">{list}</list>{}{}\
         </dictionary></marshal>",
        element("address"),
        element("127.0.0.1"),
        element("netmask"),
        element("255.255.255.255"),
        element("reference"),
        element(computer),
    );
    form(&[("xml", &xml)])
}

fn pairs(entries: &[(&str, &str)]) -> String {
    let entries: String = entries.iter().map(|(key, value)| element(key) + &element(value)).collect();
    format!("<dictionary>{entries}</dictionary>")
}

/// A member of the object in an answer, unescaped, as far as names of computers and partitions need it.
pub fn member<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let after = answer.split_once(&format!("<string>{name}</string><string>"))?.1;
    after.split_once("</string>").map(|(value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_as_the_client_library_writes_them() {
        assert_eq!(form(&[("a b", "x&y=z"), ("c", "é")]), "a%20b=x%26y%3Dz&c=%C3%A9");
        assert_eq!(marshalled_text("x<y"), "<marshal><string>x&amp;lt;y</string></marshal>");
        assert_eq!(marshalled_dict(&[]), "<marshal><dictionary id=\"i2\"></dictionary></marshal>");
    }

    #[test]
    fn members_of_an_answer() {
        let answer = "<string>slap_computer_id</string><string>COMP-1</string><string>x</string><none/>";
        assert_eq!(member(answer, "slap_computer_id"), Some("COMP-1"));
        assert_eq!(member(answer, "x"), None);
    }
}
