//! Why a command is refused: the sender's mistake, as opposed to a fault of ours.

use super::access::AccessRefusal;
use super::account::AccountRefusal;
use super::catalogue::CatalogueRefusal;
use super::charge::ChargeRefusal;
use super::computer::ComputerRefusal;
use super::credit::CreditRefusal;
use super::discount::DiscountRefusal;
use super::erasure::ErasureRefusal;
use super::instance::InstanceRefusal;
use super::invoice::InvoiceRefusal;
use super::party::PartyRefusal;
use super::pricing::PricingRefusal;
use super::product::ProductRefusal;
use super::restore::RestoreRefusal;
use super::software::SoftwareRefusal;
use super::software_schema::SchemaRefusal;
use super::tax::TaxRefusal;
use super::usage::UsageRefusal;

/// Why a command is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// About a computer.
    #[error(transparent)]
    Computer(#[from] ComputerRefusal),
    /// About a product.
    #[error(transparent)]
    Product(#[from] ProductRefusal),
    /// About the catalogue.
    #[error(transparent)]
    Catalogue(#[from] CatalogueRefusal),
    /// About the schema of a software.
    #[error(transparent)]
    Schema(#[from] SchemaRefusal),
    /// About software.
    #[error(transparent)]
    Software(#[from] SoftwareRefusal),
    /// About an instance.
    #[error(transparent)]
    Instance(#[from] InstanceRefusal),
    /// About usage.
    #[error(transparent)]
    Usage(#[from] UsageRefusal),
    /// About prices.
    #[error(transparent)]
    Pricing(#[from] PricingRefusal),
    /// About invoices.
    #[error(transparent)]
    Invoice(#[from] InvoiceRefusal),
    /// About a party.
    #[error(transparent)]
    Party(#[from] PartyRefusal),
    /// About tax.
    #[error(transparent)]
    Tax(#[from] TaxRefusal),
    /// About prepaid credit.
    #[error(transparent)]
    Credit(#[from] CreditRefusal),
    /// About a one-off charge.
    #[error(transparent)]
    Charge(#[from] ChargeRefusal),
    /// About the code of a discount.
    #[error(transparent)]
    Discount(#[from] DiscountRefusal),
    /// About closed books.
    #[error(transparent)]
    Account(#[from] AccountRefusal),
    /// About projects and credentials.
    #[error(transparent)]
    Access(#[from] AccessRefusal),
    /// About erasure.
    #[error(transparent)]
    Erasure(#[from] ErasureRefusal),
    /// About a restore.
    #[error(transparent)]
    Restore(#[from] RestoreRefusal),
}

/// What a sender can make of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalClass {
    /// What the command is about does not exist.
    NotFound,
    /// The command is not valid, whatever the state of things.
    Invalid,
    /// The state of things does not allow it.
    Conflict,
    /// There is no room at the moment.
    NoRoom,
    /// Things changed while it was under way; sealed and sent again, it may do.
    Retry,
    /// The sender may not come in any more.
    Unauthenticated,
}

impl Refusal {
    /// What the sender can make of it.
    pub fn class(&self) -> RefusalClass {
        use RefusalClass::{Conflict, Invalid, NoRoom, NotFound, Retry, Unauthenticated};
        match self {
            Self::Computer(refusal) => match refusal {
                ComputerRefusal::Unknown(_) | ComputerRefusal::UnknownParty { .. } => NotFound,
                ComputerRefusal::AlreadyRegistered { .. } | ComputerRefusal::Retired { .. } => Conflict,
                ComputerRefusal::PartitionTwice { .. }
                | ComputerRefusal::BadText { .. }
                | ComputerRefusal::BadReference { .. }
                | ComputerRefusal::UnknownAttribute { .. }
                | ComputerRefusal::TooMany { .. }
                | ComputerRefusal::TooLong { .. } => Invalid,
            },
            Self::Product(refusal) => match refusal {
                ProductRefusal::UnknownParty { .. } => NotFound,
                ProductRefusal::OtherPublisher { .. } => Conflict,
            },
            Self::Catalogue(refusal) => match refusal {
                CatalogueRefusal::UnknownEntry { .. } | CatalogueRefusal::UnknownParty { .. } => NotFound,
                CatalogueRefusal::BadMember { .. } => Invalid,
                CatalogueRefusal::TooMany { .. } => Conflict,
            },
            Self::Schema(refusal) => match refusal {
                SchemaRefusal::UnknownParty { .. } => NotFound,
                SchemaRefusal::OtherSupplier { .. } | SchemaRefusal::TooMany { .. } => Conflict,
                SchemaRefusal::BadLength { .. } => Invalid,
            },
            Self::Software(refusal) => match refusal {
                SoftwareRefusal::UnknownComputer(_) | SoftwareRefusal::NotSupplied { .. } => NotFound,
                SoftwareRefusal::NotToBeDestroyed { .. } => Conflict,
            },
            Self::Instance(refusal) => match refusal {
                InstanceRefusal::UnknownParty { .. }
                | InstanceRefusal::UnknownInstance { .. }
                | InstanceRefusal::UnknownComputer(_)
                | InstanceRefusal::UnknownPartition { .. }
                | InstanceRefusal::PartitionFree { .. }
                | InstanceRefusal::NothingToDestroy { .. } => NotFound,
                InstanceRefusal::NoRoom { .. } => NoRoom,
                InstanceRefusal::NotToBeDestroyed { .. }
                | InstanceRefusal::RequesterGoes { .. }
                | InstanceRefusal::StillOffered { .. }
                | InstanceRefusal::TooManyWait { .. }
                | InstanceRefusal::PartyErased { .. }
                | InstanceRefusal::NameTaken { .. } => Conflict,
                InstanceRefusal::UnknownFilter { .. } | InstanceRefusal::BadFilter { .. } => Invalid,
                InstanceRefusal::OtherKey { .. } => Retry,
            },
            Self::Usage(refusal) => match refusal {
                UsageRefusal::UnknownComputer(_) | UsageRefusal::NotSuspended { .. } => NotFound,
                UsageRefusal::StillUnmeterable { .. }
                | UsageRefusal::BadReason
                | UsageRefusal::TooManyVoids
                | UsageRefusal::TooManyDue => Invalid,
            },
            Self::Pricing(refusal) => match refusal {
                PricingRefusal::UnknownBook { .. }
                | PricingRefusal::UnknownCustomer { .. }
                | PricingRefusal::UnknownOverride { .. } => NotFound,
                PricingRefusal::OtherCurrency { .. }
                | PricingRefusal::OtherPriceTax { .. }
                | PricingRefusal::OverrideTie { .. }
                | PricingRefusal::BreaksOverride { .. }
                | PricingRefusal::Retroactive { .. }
                | PricingRefusal::SameCustomers { .. } => Conflict,
                _ => Invalid,
            },
            Self::Invoice(refusal) => match refusal {
                InvoiceRefusal::UnknownParty { .. }
                | InvoiceRefusal::UnknownRun { .. }
                | InvoiceRefusal::UnknownPriceBook { .. }
                | InvoiceRefusal::UnknownInvoice { .. }
                | InvoiceRefusal::UnknownLine { .. } => NotFound,
                InvoiceRefusal::EmptyPeriod
                | InvoiceRefusal::GraceTooLong
                | InvoiceRefusal::TooManyPayers
                | InvoiceRefusal::PayerNotNamed { .. }
                | InvoiceRefusal::OtherPeriod
                | InvoiceRefusal::SumsDoNotAddUp { .. }
                | InvoiceRefusal::NoLines
                | InvoiceRefusal::LineTwice { .. }
                | InvoiceRefusal::BadAmount { .. }
                | InvoiceRefusal::BadReason(_) => Invalid,
                InvoiceRefusal::NoPriceBook
                | InvoiceRefusal::SeveralPriceBooks
                | InvoiceRefusal::PeriodNotOver { .. }
                | InvoiceRefusal::InGrace { .. }
                | InvoiceRefusal::MissingDetails { .. }
                | InvoiceRefusal::UsageInDoubt { .. }
                | InvoiceRefusal::NoSeries { .. }
                | InvoiceRefusal::ChargeNotOpen { .. }
                | InvoiceRefusal::AlreadyInvoiced { .. }
                | InvoiceRefusal::RunFinal { .. }
                | InvoiceRefusal::RunWithdrawn { .. }
                | InvoiceRefusal::RunStarted { .. }
                | InvoiceRefusal::NotAnInvoice { .. }
                | InvoiceRefusal::Void { .. }
                | InvoiceRefusal::MoreThanLeft { .. }
                | InvoiceRefusal::MoreThanDocument { .. }
                | InvoiceRefusal::OtherDocument { .. }
                | InvoiceRefusal::DraftHeld { .. }
                | InvoiceRefusal::DraftNotApproved { .. }
                | InvoiceRefusal::PeriodInvoiced { .. }
                | InvoiceRefusal::Outdated { .. }
                | InvoiceRefusal::RunIncomplete { .. } => Conflict,
                InvoiceRefusal::CorrectedMeanwhile { .. } => Retry,
            },
            Self::Party(refusal) => match refusal {
                PartyRefusal::Unknown { .. } => NotFound,
                PartyRefusal::SeriesTaken { .. } | PartyRefusal::Erased { .. } => Conflict,
                PartyRefusal::TermsTooLong => Invalid,
            },
            Self::Tax(refusal) => match refusal {
                TaxRefusal::UnknownParty { .. } => NotFound,
                _ => Invalid,
            },
            Self::Credit(refusal) => match refusal {
                CreditRefusal::UnknownParty { .. } | CreditRefusal::Unknown { .. } => NotFound,
                _ => Invalid,
            },
            Self::Charge(refusal) => match refusal {
                ChargeRefusal::UnknownParty { .. } => NotFound,
                _ => Invalid,
            },
            Self::Discount(refusal) => match refusal {
                DiscountRefusal::UnknownParty { .. } | DiscountRefusal::UnknownCode { .. } => NotFound,
                DiscountRefusal::BadCode(_) => Invalid,
            },
            Self::Account(refusal) => match refusal {
                AccountRefusal::UnknownParty { .. } => NotFound,
                _ => Conflict,
            },
            Self::Access(refusal) => match refusal {
                AccessRefusal::UnknownProject(_)
                | AccessRefusal::UnknownHolder(_)
                | AccessRefusal::Unknown(_) => NotFound,
                AccessRefusal::Unauthenticated(_) => Unauthenticated,
                AccessRefusal::TitleTaken { .. }
                | AccessRefusal::StillActive
                | AccessRefusal::TokenInvalid(_)
                | AccessRefusal::TooMany(_)
                | AccessRefusal::IssuedBefore(_) => Conflict,
                AccessRefusal::BadTitle(_)
                | AccessRefusal::BadLabel(_)
                | AccessRefusal::BadHolder(_)
                | AccessRefusal::BadRoles(_)
                | AccessRefusal::NotForAllProjects
                | AccessRefusal::BadExpiry(_)
                | AccessRefusal::OtherPurpose => Invalid,
            },
            Self::Erasure(refusal) => match refusal {
                ErasureRefusal::UnknownParty { .. } | ErasureRefusal::UnknownInstance { .. } => NotFound,
                ErasureRefusal::InstanceLives { .. }
                | ErasureRefusal::HasInstances { .. }
                | ErasureRefusal::HasComputer { .. }
                | ErasureRefusal::Sells { .. } => Conflict,
            },
            Self::Restore(refusal) => match refusal {
                RestoreRefusal::NotTheProgram => Unauthenticated,
                RestoreRefusal::ClockBehind { .. } | RestoreRefusal::MarkTaken { .. } => Conflict,
                _ => Invalid,
            },
        }
    }

    /// The member of the command that is to blame, where one is.
    pub fn field(&self) -> Option<&'static str> {
        match self {
            Self::Schema(SchemaRefusal::BadLength { .. }) => Some("schema"),
            Self::Catalogue(CatalogueRefusal::BadMember { member, .. }) => Some(member),
            Self::Pricing(refusal) => Some(refusal.field()).filter(|field| !field.is_empty()),
            Self::Invoice(InvoiceRefusal::EmptyPeriod | InvoiceRefusal::PeriodNotOver { .. }) => {
                Some("period")
            }
            Self::Invoice(InvoiceRefusal::GraceTooLong) => Some("grace_hours"),
            Self::Invoice(InvoiceRefusal::TooManyPayers) => Some("payers"),
            Self::Invoice(
                InvoiceRefusal::NoLines
                | InvoiceRefusal::LineTwice { .. }
                | InvoiceRefusal::UnknownLine { .. }
                | InvoiceRefusal::MoreThanDocument { .. },
            ) => Some("lines"),
            Self::Invoice(InvoiceRefusal::SeveralPriceBooks | InvoiceRefusal::UnknownPriceBook { .. }) => {
                Some("price_book")
            }
            Self::Usage(UsageRefusal::StillUnmeterable { reason }) => Some(reason.field()),
            Self::Instance(InstanceRefusal::UnknownFilter { .. } | InstanceRefusal::BadFilter { .. }) => {
                Some("filter")
            }
            Self::Instance(InstanceRefusal::NameTaken { .. }) => Some("new_name"),
            Self::Computer(ComputerRefusal::UnknownAttribute { .. }) => Some("attributes"),
            Self::Computer(ComputerRefusal::BadReference { .. }) => Some("reference"),
            Self::Party(PartyRefusal::SeriesTaken { .. }) => Some("series"),
            Self::Party(PartyRefusal::TermsTooLong) => Some("terms_days"),
            Self::Tax(TaxRefusal::BadRate | TaxRefusal::RateWithoutTax { .. }) => Some("rate"),
            Self::Tax(TaxRefusal::NoProduct | TaxRefusal::TooManyProducts { .. }) => Some("software_release"),
            Self::Tax(TaxRefusal::CategoryOfCustomers { .. }) => Some("category"),
            Self::Tax(TaxRefusal::TooManyChanges { .. }) => Some("valid_from"),
            Self::Usage(UsageRefusal::BadReason)
            | Self::Tax(
                TaxRefusal::NoReason { .. } | TaxRefusal::NotExempt { .. } | TaxRefusal::BadReason(_),
            )
            | Self::Credit(CreditRefusal::BadReason(_))
            | Self::Invoice(InvoiceRefusal::BadReason(_)) => Some("reason"),
            Self::Tax(TaxRefusal::BadCode(_))
            | Self::Discount(DiscountRefusal::BadCode(_) | DiscountRefusal::UnknownCode { .. }) => {
                Some("code")
            }
            Self::Credit(CreditRefusal::BadThreshold { .. }) => Some("threshold"),
            Self::Credit(CreditRefusal::BadPriority) => Some("priority"),
            Self::Credit(CreditRefusal::ExpiresInThePast) => Some("expires_at"),
            Self::Credit(CreditRefusal::BadAmount { .. })
            | Self::Charge(ChargeRefusal::BadAmount { .. })
            | Self::Invoice(InvoiceRefusal::BadAmount { .. } | InvoiceRefusal::MoreThanLeft { .. }) => {
                Some("amount")
            }
            Self::Credit(CreditRefusal::BadDescription(_))
            | Self::Charge(ChargeRefusal::BadDescription(_)) => Some("description"),
            Self::Account(AccountRefusal::NotOver { .. } | AccountRefusal::AlreadyClosed { .. }) => {
                Some("until")
            }
            Self::Access(refusal) => match refusal {
                AccessRefusal::TitleTaken { .. } | AccessRefusal::BadTitle(_) => Some("title"),
                AccessRefusal::BadLabel(_) => Some("label"),
                AccessRefusal::UnknownHolder(_) | AccessRefusal::BadHolder(_) => Some("holder"),
                AccessRefusal::BadRoles(_) => Some("roles"),
                AccessRefusal::NotForAllProjects => Some("all_projects"),
                AccessRefusal::BadExpiry(_) => Some("expires_at"),
                _ => None,
            },
            _ => None,
        }
    }
}
