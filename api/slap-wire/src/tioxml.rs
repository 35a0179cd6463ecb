//! Usage reports (`TioXML`), as nodes post them to `useComputer`.
//!
//! A report is a `journal` as `slapos/slap/doc/computer_consumption.xsd` of slapos.core has it, its elements in exactly that
//! order. Invariants: what the XSD refuses is an error that names line, element and rule; texts are kept as they were
//! sent, and numbers and dates are read apart from them, so that one bad quantity does not lose the rest of a report.
//!
//! Not here: whom a movement concerns, whether it was reported before, and what it costs.

mod date;
mod quantity;

pub use date::{DateError, Stamp, parse_date};
pub use quantity::{
    QUANTITY_FRACTION_DIGITS, QUANTITY_INTEGER_DIGITS, QuantityError, TioQuantity, parse_quantity,
};

use super::xml::{self, Element, XmlError};

/// A usage report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// At least one.
    pub transactions: Vec<TioTransaction>,
}

/// The usage of a period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TioTransaction {
    /// The attribute `type`, such as `Sale Packing List`.
    pub kind: String,
    /// `title`.
    pub title: Option<String>,
    /// `start_date`; see [`parse_date`].
    pub start_date: String,
    /// `stop_date`; see [`parse_date`].
    pub stop_date: String,
    /// `reference`: `2026-11-22-global` from `slapos node collect`; the computer's, hence not unique, from `slapos node report`.
    pub reference: String,
    /// `currency`.
    pub currency: String,
    /// `payment_mode`.
    pub payment_mode: String,
    /// Each `category`.
    pub categories: Vec<String>,
    /// At least one.
    pub arrows: Vec<Arrow>,
    /// At least one.
    pub movements: Vec<Movement>,
}

/// Between whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrow {
    /// The attribute `type`, such as `Administration`.
    pub kind: String,
    /// `source`.
    pub source: Option<String>,
    /// `destination`.
    pub destination: Option<String>,
}

/// One quantity of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movement {
    /// `resource`, such as `service_module/cpu_load_percent`.
    pub resource: String,
    /// `title`.
    pub title: Option<String>,
    /// `reference`: a computer, a partition, or the unix user of a partition.
    pub reference: Option<String>,
    /// `quantity`: a text of the type `xs:float`; see [`parse_quantity`].
    pub quantity: String,
    /// `price`: a text of the type `xs:float`.
    pub price: String,
    /// `VAT`.
    pub vat: String,
    /// Each `category`.
    pub categories: Vec<String>,
}

/// Why a text is not a usage report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// Not a document that we read.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// Outside `computer_consumption.xsd`.
    #[error("line {line}: element {element:?}: {rule}")]
    Invalid {
        /// Where, from 1.
        line: usize,
        /// The element, shortened.
        element: String,
        /// The rule it breaks.
        rule: String,
    },
}

/// The report in the posted bytes, which are in the encoding that their XML declaration names, or in UTF-8.
pub fn parse(bytes: &[u8]) -> Result<Report, ReportError> {
    let text = xml::decode(bytes)?;
    let root = xml::parse(&text)?;
    if root.name != "journal" {
        return Err(invalid(&root, "the root must be journal"));
    }
    check_attributes(&root, false)?;
    let mut content = XmlSequence::of(&root)?;
    let transactions = content.some("transaction", transaction)?;
    content.end()?;
    Ok(Report { transactions })
}

fn transaction(element: &Element<'_>) -> Result<TioTransaction, ReportError> {
    let kind = check_attributes(element, true)?;
    let mut content = XmlSequence::of(element)?;
    let transaction = TioTransaction {
        kind,
        title: content.optional("title", string)?,
        start_date: content.one("start_date", string)?,
        stop_date: content.one("stop_date", string)?,
        reference: content.one("reference", string)?,
        currency: content.one("currency", string)?,
        payment_mode: content.one("payment_mode", string)?,
        categories: content.any("category", string)?,
        arrows: content.some("arrow", arrow)?,
        movements: content.some("movement", movement)?,
    };
    content.end()?;
    Ok(transaction)
}

fn arrow(element: &Element<'_>) -> Result<Arrow, ReportError> {
    let kind = check_attributes(element, true)?;
    let mut content = XmlSequence::of(element)?;
    let arrow = Arrow {
        kind,
        source: content.optional("source", string)?,
        destination: content.optional("destination", string)?,
    };
    content.end()?;
    Ok(arrow)
}

fn movement(element: &Element<'_>) -> Result<Movement, ReportError> {
    check_attributes(element, false)?;
    let mut content = XmlSequence::of(element)?;
    let movement = Movement {
        resource: content.one("resource", string)?,
        title: content.optional("title", string)?,
        reference: content.optional("reference", string)?,
        quantity: content.one("quantity", float)?,
        price: content.one("price", float)?,
        vat: content.one("VAT", string)?,
        categories: content.any("category", string)?,
    };
    content.end()?;
    Ok(movement)
}

fn string(element: &Element<'_>) -> Result<String, ReportError> {
    check_attributes(element, false)?;
    element.text().map(str::to_owned).ok_or_else(|| invalid(element, "must have no elements in it"))
}

fn float(element: &Element<'_>) -> Result<String, ReportError> {
    let text = string(element)?;
    if !quantity::is_float(&text) {
        let shown = xml::shorten(&text);
        return Err(invalid(element, &format!("{shown:?} is no xs:float")));
    }
    Ok(text)
}

/// The required attribute `type`, or no attribute at all. Declarations of prefixes and hints about schemas always may be.
fn check_attributes(element: &Element<'_>, has_type: bool) -> Result<String, ReportError> {
    for (name, value) in &element.attributes {
        let allowed = (has_type && name == "type")
            || (name == "xmlns" && value.is_empty())
            || name.starts_with("xmlns:")
            || name == "xsi:schemaLocation"
            || name == "xsi:noNamespaceSchemaLocation";
        if !allowed {
            return Err(invalid(element, &format!("must not have the attribute {:?}", xml::shorten(name))));
        }
    }
    match element.attribute("type") {
        Some(kind) => Ok(kind.to_owned()),
        None if has_type => Err(invalid(element, "must have the attribute \"type\"")),
        None => Ok(String::new()),
    }
}

/// The content of an element as an `xs:sequence`, consumed from its start.
struct XmlSequence<'t, 'a> {
    parent: &'t Element<'a>,
    rest: std::iter::Peekable<std::vec::IntoIter<&'t Element<'a>>>,
}

impl<'t, 'a> XmlSequence<'t, 'a> {
    fn of(parent: &'t Element<'a>) -> Result<Self, ReportError> {
        let elements =
            parent.elements().ok_or_else(|| invalid(parent, "must have no text between its elements"))?;
        Ok(Self { parent, rest: elements.into_iter().peekable() })
    }

    fn optional<T>(
        &mut self,
        name: &str,
        read: impl Fn(&Element<'a>) -> Result<T, ReportError>,
    ) -> Result<Option<T>, ReportError> {
        self.rest.next_if(|element| element.name == name).map(read).transpose()
    }

    fn any<T>(
        &mut self,
        name: &str,
        read: impl Fn(&Element<'a>) -> Result<T, ReportError>,
    ) -> Result<Vec<T>, ReportError> {
        let mut found = Vec::new();
        while let Some(one) = self.optional(name, &read)? {
            found.push(one);
        }
        Ok(found)
    }

    fn one<T>(
        &mut self,
        name: &str,
        read: impl Fn(&Element<'a>) -> Result<T, ReportError>,
    ) -> Result<T, ReportError> {
        match self.optional(name, read)? {
            Some(one) => Ok(one),
            None => Err(self.missing(name)),
        }
    }

    fn some<T>(
        &mut self,
        name: &str,
        read: impl Fn(&Element<'a>) -> Result<T, ReportError>,
    ) -> Result<Vec<T>, ReportError> {
        let found = self.any(name, read)?;
        if found.is_empty() { Err(self.missing(name)) } else { Ok(found) }
    }

    fn end(mut self) -> Result<(), ReportError> {
        let parent = &self.parent.name;
        match self.rest.next() {
            Some(element) => Err(invalid(element, &format!("must not be there in {parent}"))),
            None => Ok(()),
        }
    }

    fn missing(&mut self, name: &str) -> ReportError {
        match self.rest.peek() {
            Some(element) => invalid(element, &format!("{name} must come before it")),
            None => invalid(self.parent, &format!("must have {name}")),
        }
    }
}

fn invalid(element: &Element<'_>, rule: &str) -> ReportError {
    ReportError::Invalid { line: element.line, element: xml::shorten(&element.name), rule: rule.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use chrono_tz::Tz;
    use proptest::prelude::*;

    use super::*;

    const AGGREGATED: &str = r#"<?xml version="1.0"?><journal><transaction type="Sale Packing List"><title>Resource consumptions</title><start_date></start_date><stop_date>2026-11-23 at 14:11:56</stop_date><reference>COMP-GRID</reference><currency></currency><payment_mode></payment_mode><category></category><arrow type="Administration"><source></source><destination></destination></arrow><movement><resource>service_module/cpu_load_percent</resource><title>CPU</title><reference>slappart0</reference><quantity>1.5</quantity><price>0.0</price><VAT>None</VAT><category>None</category></movement></transaction></journal>"#;
    const COLLECTED: &str = r#"<?xml version='1.0' encoding='utf-8'?><journal><transaction type="Sale Packing List"><title>Eco Information for COMP-1 </title><start_date>2026-11-22 00:00:00</start_date><stop_date>2026-11-22 23:59:59</stop_date><reference>2026-11-22-global</reference><currency /><payment_mode /><category /><arrow type="Destination" /><movement><resource>service_module/cpu_load_percent</resource><title>CPU Load Percent Average</title><reference>COMP-1</reference><quantity>12.5</quantity><price>0.0</price><VAT /><category /></movement></transaction></journal>"#;

    #[test]
    fn the_aggregated_report() {
        let report = parse(AGGREGATED.as_bytes()).unwrap();
        let [transaction] = report.transactions.as_slice() else { panic!() };
        assert_eq!(transaction.kind, "Sale Packing List");
        assert_eq!(transaction.title.as_deref(), Some("Resource consumptions"));
        assert_eq!(transaction.reference, "COMP-GRID");
        assert_eq!(transaction.categories, [""]);
        let both = Some(String::new());
        let arrow = Arrow { kind: "Administration".to_owned(), source: both.clone(), destination: both };
        assert_eq!(transaction.arrows, [arrow]);
        assert_eq!(
            transaction.movements,
            [Movement {
                resource: "service_module/cpu_load_percent".to_owned(),
                title: Some("CPU".to_owned()),
                reference: Some("slappart0".to_owned()),
                quantity: "1.5".to_owned(),
                price: "0.0".to_owned(),
                vat: "None".to_owned(),
                categories: vec!["None".to_owned()],
            }]
        );
        assert_eq!(parse_date(&transaction.start_date, Tz::UTC), Ok(None));
        let stop = parse_date(&transaction.stop_date, Tz::UTC).unwrap().unwrap();
        assert_eq!(stop.micros, 1_795_443_116_000_000);
    }

    #[test]
    fn the_collected_report() {
        let report = parse(COLLECTED.as_bytes()).unwrap();
        let transaction = &report.transactions[0];
        assert_eq!(
            transaction.arrows,
            [Arrow { kind: "Destination".to_owned(), source: None, destination: None }]
        );
        assert_eq!(transaction.movements[0].vat, "");
        let start = parse_date(&transaction.start_date, Tz::UTC).unwrap().unwrap();
        let stop = parse_date(&transaction.stop_date, Tz::UTC).unwrap().unwrap();
        assert_eq!(stop.inclusive_stop() - start.micros, 86_400_000_000);
    }

    #[test]
    fn an_encoding_that_is_declared() {
        let document = COLLECTED.replace("utf-8", "ISO-8859-1").replace("Eco Information", "Économie");
        let bytes: Vec<u8> = document.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        assert_eq!(parse(&bytes).unwrap().transactions[0].title.as_deref(), Some("Économie for COMP-1 "));
    }

    /// Verdicts of libxml2 with the XSD itself, recorded by `fixtures/slap/record_tioxml.py`.
    #[test]
    fn verdicts_of_the_schema() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/slap/tioxml/verdicts.txt");
        let mut seen = 0;
        for document in fs::read_to_string(path).unwrap().split("======== ").skip(1) {
            let (expected, document) = document.split_once('\n').unwrap();
            let verdict = parse(document.as_bytes());
            assert_eq!(verdict.is_ok(), expected == "valid", "{document}: {verdict:?}");
            seen += 1;
        }
        assert!(seen > 200, "{seen}");
    }

    #[test]
    fn refusals() {
        let check = |from: &str, to: &str, expected: &str| {
            assert!(COLLECTED.contains(from), "{from}");
            let error = parse(COLLECTED.replacen(from, to, 1).as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{to:?}: {error}");
        };
        check(
            "<title>Eco",
            "\n<titel/><title>Eco",
            "line 2: element \"titel\": start_date must come before it",
        );
        check("<currency />", "", "element \"payment_mode\": currency must come before it");
        check("<arrow type=\"Destination\" />", "", "element \"movement\": arrow must come before it");
        check(
            "<arrow type=\"Destination\" />",
            "<arrow/>",
            "element \"arrow\": must have the attribute \"type\"",
        );
        check(
            "<currency />",
            "<currency>a<b/></currency>",
            "element \"currency\": must have no elements in it",
        );
        check("<currency />", "<currency code='EUR'/>", "must not have the attribute \"code\"");
        check("<currency />", "x<currency/>", "element \"transaction\": must have no text between");
        check("12.5", "12,5", "element \"quantity\": \"12,5\" is no xs:float");
        check("<price>0.0<", "<price><", "element \"price\": \"\" is no xs:float");
        check("<VAT />", "", "VAT must come before it");
        check("</movement>", "<extra/></movement>", "element \"extra\": must not be there in movement");
        check("</transaction>", "<movement/></transaction>", "element \"movement\": must have resource");
        check("12.5", "12.5&nbsp;", "unknown entity \"nbsp\"");
        check("<journal>", "<!DOCTYPE journal [<!ENTITY a 'b'>]><journal>", "document type");
        check("</journal>", "", "not closed");
        assert_eq!(
            parse(b"<consumption/>").unwrap_err().to_string(),
            "line 1: element \"consumption\": the root must be journal"
        );
        assert_eq!(
            parse(b"<journal/>").unwrap_err().to_string(),
            "line 1: element \"journal\": must have transaction"
        );
    }

    proptest! {
        #[test]
        fn never_panics(bytes in any::<Vec<u8>>(), cut in 0..1000_usize, put in "[<>/&;a-z]{0,3}") {
            let _ = parse(&bytes);
            let mut document = COLLECTED.to_owned();
            let at = cut.min(document.len());
            document.insert_str(at, &put);
            let _ = parse(document.as_bytes());
            document.truncate(at);
            let _ = parse(document.as_bytes());
        }
    }
}
