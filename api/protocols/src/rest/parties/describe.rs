//! What is said of the routes of parties and tax.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use slapledger_kit::json_body::Replaced;

use super::details::{AddressRead, DetailsChange, ElectronicAddress, ElectronicAddressRead, PostalAddress};
use super::{PartyChanges, PartyForm};
use crate::rest::openapi::operation::Operation;
use crate::rest::openapi::schema::{self, Nothing};

macro_rules! party_bodies {
    ($($(#[$about:meta])* $name:ident { $($(#[$note:meta])* $own:ident: $shape:ty,)* })*) => {$(
        $(#[$about])*
        #[derive(Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub(super) struct $name {
            $($(#[$note])* pub(super) $own: $shape,)*
            #[serde(default)]
            legal_name: Replaced<schema::LongText>,
            #[serde(default)]
            #[schemars(with = "Option<PostalAddress>")]
            address: Replaced<AddressRead>,
            #[serde(default)]
            vat_id: Replaced<schema::VatId>,
            #[serde(default)]
            registration_id: Replaced<schema::LongText>,
            #[serde(default)]
            legal_info: Replaced<schema::LongText>,
            #[serde(default)]
            contact: Replaced<schema::LongText>,
            #[serde(default)]
            phone: Replaced<schema::LongText>,
            #[serde(default)]
            email: Replaced<schema::Email>,
            #[serde(default)]
            #[schemars(with = "Option<ElectronicAddress>")]
            electronic_address: Replaced<ElectronicAddressRead>,
            #[serde(default)]
            buyer_reference: Replaced<schema::LongText>,
            #[serde(default)]
            iban: Replaced<schema::Iban>,
            #[serde(default)]
            bic: Replaced<schema::Bic>,
            #[serde(default)]
            series: Replaced<schema::Series>,
            #[serde(default)]
            #[schemars(range(max = 3650))]
            terms_days: Replaced<u16>,
        }

        impl $name {
            /// What the body says of a party beyond its name and zone.
            pub(super) fn changes(&self) -> PartyChanges {
                PartyChanges {
                    details: DetailsChange {
                        legal_name: self.legal_name.clone(),
                        address: self.address.clone(),
                        vat_id: self.vat_id.clone(),
                        registration_id: self.registration_id.clone(),
                        legal_info: self.legal_info.clone(),
                        contact: self.contact.clone(),
                        phone: self.phone.clone(),
                        email: self.email.clone(),
                        electronic_address: self.electronic_address.clone(),
                        buyer_reference: self.buyer_reference.clone(),
                        iban: self.iban.clone(),
                        bic: self.bic.clone(),
                    },
                    series: self.series.clone(),
                    terms_days: self.terms_days.clone(),
                }
            }
        }
    )*};
}

party_bodies! {
    /// A party as it enters the books.
    PartyWanted {
        name: schema::LongText,
        /// Where its months are cut; UTC, if it is not said.
        time_zone: Option<schema::TimeZone>,
    }

    /// What is said anew of a party: what is left out stays, what is null goes.
    PartyChanged {
        /// Counts from the next month on.
        time_zone: Option<schema::TimeZone>,
    }
}

/// How a customer is taxed.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Treatment {
    pub(super) category: schema::TaxCategory,
    /// Why there is no tax, in every category but S and Z.
    pub(super) reason: Option<schema::LongText>,
    /// Of the VATEX list.
    pub(super) code: Option<schema::ExemptionCode>,
    pub(super) valid_from: schema::Instant,
}

/// What a seller charges.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TaxRate {
    /// The user, if it is not said.
    pub(super) seller: Option<schema::PartyId>,
    /// In percent, from 0 to 100.
    pub(super) rate: schema::Quantity,
    pub(super) valid_from: schema::Instant,
}

/// What a seller charges for a product.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProductTax {
    /// The user, if it is not said.
    pub(super) seller: Option<schema::PartyId>,
    /// Fees and usage of instances of this release.
    pub(super) software_release: Option<schema::SoftwareRelease>,
    /// Usage of this resource; with a release, by its instances alone.
    pub(super) resource: Option<schema::ResourceId>,
    /// S, Z, E or O.
    pub(super) category: schema::TaxCategory,
    /// In percent, from 0 to 100, for category S; the rate of the seller, if it is left out.
    pub(super) rate: Option<schema::Quantity>,
    /// Why there is no tax, in categories E and O.
    pub(super) reason: Option<schema::LongText>,
    /// Of the VATEX list.
    pub(super) code: Option<schema::ExemptionCode>,
    pub(super) valid_from: schema::Instant,
}

pub(crate) fn list(operation: Operation) -> Operation {
    operation
        .called("listParties", "parties", "Parties, in the order they were registered")
        .lists::<PartyForm>("A part of the list")
}

pub(crate) fn register(operation: Operation) -> Operation {
    operation
        .called("registerParty", "parties", "Enter a party: somebody who requests, sells or pays")
        .body::<PartyWanted>(json!({
            "name": "Acme", "time_zone": "Europe/Paris", "legal_name": "Acme SAS",
            "address": {"lines": ["1 rue de la Paix"], "postal_code": "75002", "city": "Paris", "country": "FR"},
            "vat_id": "FR83404833048", "terms_days": 14,
        }))
        .writes::<PartyForm>(201, "It is registered")
        .location(201)
        .tagged(201)
}

pub(crate) fn show(operation: Operation) -> Operation {
    operation
        .called("showParty", "parties", "A party, what documents say of it, and how it is taxed")
        .path::<schema::PartyId>("id", "Which party")
        .shows::<PartyForm>("The party")
}

pub(crate) fn change(operation: Operation) -> Operation {
    operation
        .called(
            "changeParty",
            "parties",
            "Say anew what documents say of a party, or where its months are cut",
        )
        .path::<schema::PartyId>("id", "Which party")
        .if_match()
        .body::<PartyChanged>(json!({"vat_id": "FR83404833048"}))
        .writes::<PartyForm>(200, "The party as it is now")
        .tagged(200)
}

pub(crate) fn erase(operation: Operation) -> Operation {
    operation
        .called("eraseParty", "parties", "Erase name and details of a party, for good")
        .path::<schema::PartyId>("id", "Which party")
        .if_match()
        .body::<Nothing>(json!({}))
        .optional_body()
        .description(
            "Its key is destroyed: name and details cannot be read any more, by anybody. Documents that were issued keep \
             theirs; drafts and later documents show `(erased)`. Its instances must have ended, and it must not have a \
             series of its own. Done again it changes nothing.",
        )
        .writes::<PartyForm>(200, "The party as it is now")
        .tagged(200)
}

/// What is revoked.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CredentialsOfParty {
    /// Whether the certificates of its computers, and of the instances on them, are revoked too.
    pub(super) with_computers: Option<bool>,
}

pub(crate) fn revoke_credentials(operation: Operation) -> Operation {
    operation
        .called("revokeCredentialsOfParty", "parties", "Revoke the credentials of a party")
        .path::<schema::PartyId>("id", "Which party")
        .description(
            "All its tokens and certificates are revoked, including unused ones. What it has \
             stays as it is: its instances run, are invoiced, and may ask for more by certificates of their own; its \
             computers come in, unless `with_computers` revokes their certificates and those of the instances on them. \
             Done again it changes nothing.",
        )
        .body::<CredentialsOfParty>(json!({}))
        .optional_body()
        .answers::<PartyForm>(200, "The party")
        .problem(404)
        .problem(409)
        .problem(413)
        .problem(415)
}

pub(crate) fn treat(operation: Operation) -> Operation {
    operation
        .called("setTaxTreatment", "parties", "Set the tax category of a customer, from an instant on")
        .path::<schema::PartyId>("id", "Which customer")
        .body::<Treatment>(json!({
            "category": "AE", "reason": "Reverse charge", "code": "VATEX-EU-AE",
            "valid_from": "2026-01-01T00:00:00Z",
        }))
        .writes::<PartyForm>(201, "It counts")
        .tagged(201)
}

pub(crate) fn set_rate(operation: Operation) -> Operation {
    operation
        .called("setTaxRate", "parties", "Have a seller charge a tax rate, from an instant on")
        .body::<TaxRate>(json!({"rate": "20", "valid_from": "2026-01-01T00:00:00Z"}))
        .writes::<PartyForm>(201, "It counts")
        .tagged(201)
        .problem(404)
}

pub(crate) fn set_product_tax(operation: Operation) -> Operation {
    operation
        .called("setProductTax", "parties", "Have a seller charge a tax for a product, from an instant on")
        .body::<ProductTax>(json!({
            "software_release": "https://example.org/book/software.cfg", "category": "S", "rate": "5.5",
            "valid_from": "2026-01-01T00:00:00Z",
        }))
        .writes::<PartyForm>(201, "It counts")
        .tagged(201)
        .problem(404)
}
