//! Front-ends that slapos proxy makes up: a shared instance of two releases needs no host there.
//!
//! Software under development asks for a front-end of a site; on one machine its own address will do. Nothing is
//! allocated and nothing is recorded: the answer says what the request says.

use std::collections::BTreeMap;

use http::Uri;

/// The content delivery network, by the release slapos proxy knows it by.
const SITES: &str =
    "http://git.erp5.org/gitweb/slapos.git/blob_plain/HEAD:/software/apache-frontend/software.cfg";
/// The front-end of virtual machines' screens.
const SCREENS: &str =
    "http://git.erp5.org/gitweb/slapos.git/blob_plain/refs/tags/slapos-0.92:/software/kvm/software.cfg";

/// A front-end that is made up.
pub struct Frontend {
    /// What it leads to, in words; where others have a partition.
    pub title: String,
    /// How it is reached.
    pub connection: BTreeMap<String, String>,
}

impl Frontend {
    /// The one that a shared request means, if it means one.
    pub fn of(release: &str, software_type: &str, parameters: &BTreeMap<String, String>) -> Option<Self> {
        let told = |key: &str| parameters.get(key).filter(|value| !value.is_empty());
        match (release, software_type) {
            (SITES, "" | "default" | "RootSoftwareInstance") => {
                let url = told("url")?;
                let domain = url.parse::<Uri>().ok().and_then(|uri| uri.authority().map(ToString::to_string));
                let domain = ("domain".to_owned(), domain.unwrap_or_default());
                let connection = BTreeMap::from([("secure_access".to_owned(), url.clone()), domain]);
                Some(Self { title: format!("Fake frontend for {url}"), connection })
            }
            (SCREENS, "frontend") => {
                let (host, port) = (told("host")?, told("port")?);
                // An IPv6 address comes without its brackets.
                let bare = host.contains(':') && !host.starts_with('[');
                let host = if bare { format!("[{host}]") } else { host.clone() };
                let url = format!("https://{host}:{port}/");
                let title = format!("Fake KVM VNC frontend for {url}");
                let told =
                    [("url", url), ("domainname", host), ("port", port.clone()), ("path", "/".to_owned())];
                Some(Self { title, connection: told.map(|(key, value)| (key.to_owned(), value)).into() })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(release: &str, software_type: &str, told: &[(&str, &str)]) -> Option<Vec<String>> {
        let told = told.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let found = Frontend::of(release, software_type, &told)?;
        Some(found.connection.into_iter().map(|(key, value)| format!("{key}={value}")).collect())
    }

    #[test]
    fn only_what_slapos_proxy_makes_up_is_made_up() {
        let url = [("url", "https://[::1]:123/path")];
        let site = connection(SITES, "default", &url);
        assert_eq!(
            site.unwrap(),
            ["domain=[::1]:123".to_owned(), "secure_access=https://[::1]:123/path".to_owned()]
        );
        assert_eq!(connection(SITES, "custom", &url), None);
        assert_eq!(connection(SITES, "default", &[]), None);
        assert_eq!(connection("http://example.com/software.cfg", "default", &url), None);
        let screen = connection(SCREENS, "frontend", &[("host", "::1"), ("port", "123")]).unwrap();
        assert_eq!(screen, ["domainname=[::1]", "path=/", "port=123", "url=https://[::1]:123/"]);
        assert_eq!(connection(SCREENS, "frontend", &[("host", "::1")]), None);
    }
}
