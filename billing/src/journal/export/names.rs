//! Names of accounts that all three programs read.
//!
//! Beancount has the narrowest rule: each part begins with a capital letter or a digit and goes on with letters, digits
//! and hyphens. Two accounts never have one name.

use sha2::{Digest, Sha256};
use slapledger_core::domain::id::ResourceId;

use super::super::account::{Account, Income};

/// The longest beginning of a resource's name that is kept where it has to be told apart by its digest.
const MOST: usize = 60;

/// The name of an account.
pub(super) fn name_of(account: &Account) -> String {
    match account {
        // A rate of 5.5 percent.
        Account::Tax(_) => account.to_string().replace('.', "-"),
        Account::Income(Income::Usage(resource)) => format!("Income:Usage:{}", parts_of(resource)),
        _ => account.to_string(),
    }
}

/// `service_module/cpu_load_percent` is `Service-module:Cpu-load-percent`. What is not made of small letters, digits,
/// `_` and `/` alone could become what another resource is called, so a digest of it is added.
fn parts_of(resource: &ResourceId) -> String {
    let text = resource.as_str();
    let is_plain = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    if text.split('/').all(is_plain) {
        let parts: Vec<String> = text.split('/').map(|part| capital(&part.replace('_', "-"))).collect();
        return parts.join(":");
    }
    let readable = text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' });
    let readable: String = readable.take(MOST).collect();
    let digest = Sha256::digest(text);
    let short = digest.iter().take(6).fold(0_u64, |short, byte| short << 8 | u64::from(*byte));
    capital(&format!("{}-X{short:012x}", readable.trim_matches('-'))).trim_start_matches('-').to_owned()
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_by_all_three() {
        let rows = [
            ("Assets:Receivable:PARTY-2", "Assets:Receivable:PARTY-2"),
            ("Liabilities:Tax:S:5.5", "Liabilities:Tax:S:5-5"),
            ("Equity:Earnings", "Equity:Earnings"),
            ("Income:Usage:service_module/cpu_load_percent", "Income:Usage:Service-module:Cpu-load-percent"),
            ("Income:Usage:95th", "Income:Usage:95th"),
            // printf Service/CPU | sha256sum
            ("Income:Usage:Service/CPU", "Income:Usage:Service-CPU-X08903f83dd2b"),
            ("Income:Usage:a-b", "Income:Usage:A-b-Xd44362d67d92"),
            ("Income:Usage:/a//b", "Income:Usage:A--b-X13c7a6eeec2a"),
            ("Income:Usage:été  ; x", "Income:Usage:T-----x-Xf680ee6cfae8"),
            ("Income:Usage:机", "Income:Usage:X145676361e97"),
        ];
        for (account, expected) in rows {
            let name = name_of(&account.parse().expect(account));
            assert_eq!(name, expected, "{account}");
            for part in name.split(':') {
                assert!(part.starts_with(|c: char| c.is_ascii_uppercase() || c.is_ascii_digit()), "{name}");
                assert!(part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'), "{name}");
            }
        }
    }

    #[test]
    fn no_two_resources_have_one_name() {
        let resources =
            ["a_b", "a-b", "a/b", "A_b", "a_B", "a b", "a:b", "A-b", "a__b", "a//b", "/a_b", "ä", "ö"];
        let names: std::collections::BTreeSet<String> =
            resources.iter().map(|text| parts_of(&ResourceId::new(text).expect("a resource"))).collect();
        assert_eq!(names.len(), resources.len(), "{names:?}");
    }
}
