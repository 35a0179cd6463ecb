//! The table from refusals and faults of the core to statuses and codes.

use axum::http::StatusCode;
use slapledger_core::domain::access::{AccessRefusal, InvalidCredential};
use slapledger_core::domain::account::AccountRefusal;
use slapledger_core::domain::catalogue::CatalogueRefusal;
use slapledger_core::domain::charge::ChargeRefusal;
use slapledger_core::domain::computer::ComputerRefusal;
use slapledger_core::domain::credit::CreditRefusal;
use slapledger_core::domain::discount::DiscountRefusal;
use slapledger_core::domain::erasure::ErasureRefusal;
use slapledger_core::domain::instance::InstanceRefusal;
use slapledger_core::domain::invoice::InvoiceRefusal;
use slapledger_core::domain::party::PartyRefusal;
use slapledger_core::domain::pricing::PricingRefusal;
use slapledger_core::domain::product::ProductRefusal;
use slapledger_core::domain::restore::RestoreRefusal;
use slapledger_core::domain::software::SoftwareRefusal;
use slapledger_core::domain::software_schema::SchemaRefusal;
use slapledger_core::domain::tax::TaxRefusal;
use slapledger_core::domain::usage::UsageRefusal;
use slapledger_core::domain::{Refusal, RefusalClass};
use slapledger_core::ledger::SubmitError;
use slapledger_projections::runner::ReadFault;

use crate::code::ProblemCode;
use crate::conflict;
use crate::problem::Problem;

impl From<SubmitError> for Problem {
    fn from(error: SubmitError) -> Self {
        let detail = error.to_string();
        match error {
            SubmitError::Refused(refusal) => {
                let code = code_of(&refusal);
                let problem = match refusal.class() {
                    RefusalClass::NotFound | RefusalClass::NoRoom => Self::unknown(code, detail),
                    RefusalClass::Invalid => Self::new(StatusCode::BAD_REQUEST, code, detail),
                    RefusalClass::Conflict => conflict::of_code(code, detail),
                    RefusalClass::Unauthenticated => Self::new(StatusCode::UNAUTHORIZED, code, detail),
                    RefusalClass::Retry => return Self::later(code, detail, 1),
                };
                Self { field: refusal.field().map(str::to_owned), ..problem }
            }
            SubmitError::CommandIdReused => {
                let problem = conflict::of_code(ProblemCode::IdempotencyKeyReused, detail);
                Self { field: Some("idempotency-key".into()), ..problem }
            }
            // Which event it is that would be too long is nothing to the client.
            SubmitError::TooLarge { bytes, .. } => {
                let detail =
                    format!("it would take {bytes} bytes to keep all of it, 65535 at most can be kept");
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, ProblemCode::TooLarge, detail)
            }
            SubmitError::ClockUnconfirmed(_) => Self::later(ProblemCode::ClockUnconfirmed, detail, 30),
            SubmitError::ClockBehind { now, recorded_at } => {
                let wait = recorded_at.micros().saturating_sub(now.micros()) / 1_000_000 + 1;
                let wait = u32::try_from(wait.clamp(1, 3600)).unwrap_or(3600);
                Self::later(ProblemCode::ClockBehind, detail, wait)
            }
            SubmitError::ClockStatedOtherwise { .. } => {
                let problem = conflict::of_code(ProblemCode::ClockStatedOtherwise, detail);
                Self { field: Some("now".into()), ..problem }
            }
            SubmitError::NoRoom(_) => {
                let (status, code) = (StatusCode::INSUFFICIENT_STORAGE, ProblemCode::InsufficientStorage);
                Self { retry_after_seconds: Some(60), ..Self::new(status, code, detail) }
            }
            SubmitError::Busy => Self::later(ProblemCode::Overloaded, detail, 1),
            SubmitError::ModifiedConcurrently => Self::later(ProblemCode::ModifiedConcurrently, detail, 1),
            SubmitError::AnswerUnreadable { .. } => Self::fault(&detail),
            SubmitError::Stopped(_) => {
                tracing::error!(%detail, "a command was not carried out");
                Self::later(ProblemCode::WriterStopped, "the ledger takes no commands at the moment", 30)
            }
        }
    }
}

impl From<ReadFault> for Problem {
    fn from(fault: ReadFault) -> Self {
        match fault {
            ReadFault::Behind { .. } => Self::later(ProblemCode::SequenceNotReached, fault.to_string(), 1),
            ReadFault::Stopped { .. } => Self::fault(&fault),
        }
    }
}

/// The code of a refusal. Without a wildcard: a new refusal gets a code when it is added.
pub fn code_of(refusal: &Refusal) -> ProblemCode {
    match refusal {
        Refusal::Computer(refusal) => of_computer(refusal),
        Refusal::Product(refusal) => match refusal {
            ProductRefusal::UnknownParty { .. } => ProblemCode::PartyUnknown,
            ProductRefusal::OtherPublisher { .. } => ProblemCode::ProductTaken,
        },
        Refusal::Catalogue(refusal) => match refusal {
            CatalogueRefusal::UnknownEntry { .. } => ProblemCode::EntryUnknown,
            CatalogueRefusal::UnknownParty { .. } => ProblemCode::PartyUnknown,
            CatalogueRefusal::BadMember { .. } => ProblemCode::Invalid,
            CatalogueRefusal::TooMany { .. } => ProblemCode::QuotaExceeded,
        },
        Refusal::Schema(refusal) => match refusal {
            SchemaRefusal::UnknownParty { .. } => ProblemCode::PartyUnknown,
            SchemaRefusal::OtherSupplier { .. } => ProblemCode::NameTaken,
            SchemaRefusal::BadLength { .. } => ProblemCode::Invalid,
            SchemaRefusal::TooMany { .. } => ProblemCode::QuotaExceeded,
        },
        Refusal::Software(refusal) => match refusal {
            SoftwareRefusal::UnknownComputer(_) => ProblemCode::ComputerUnknown,
            SoftwareRefusal::NotSupplied { .. } => ProblemCode::SoftwareNotSupplied,
            SoftwareRefusal::NotToBeDestroyed { .. } => ProblemCode::StillRequested,
        },
        Refusal::Instance(refusal) => of_instance(refusal),
        Refusal::Usage(refusal) => match refusal {
            UsageRefusal::UnknownComputer(_) => ProblemCode::ComputerUnknown,
            UsageRefusal::NotSuspended { .. } => ProblemCode::UsageNotSuspended,
            UsageRefusal::StillUnmeterable { .. } => ProblemCode::UsageUnmeterable,
            UsageRefusal::BadReason | UsageRefusal::TooManyVoids | UsageRefusal::TooManyDue => {
                ProblemCode::Invalid
            }
        },
        Refusal::Pricing(refusal) => of_pricing(refusal),
        Refusal::Invoice(refusal) => of_invoice(refusal),
        Refusal::Party(refusal) => match refusal {
            PartyRefusal::Unknown { .. } => ProblemCode::PartyUnknown,
            PartyRefusal::SeriesTaken { .. } => ProblemCode::SeriesTaken,
            PartyRefusal::TermsTooLong => ProblemCode::Invalid,
            PartyRefusal::Erased { .. } => ProblemCode::PartyErased,
        },
        Refusal::Tax(refusal) => match refusal {
            TaxRefusal::UnknownParty { .. } => ProblemCode::PartyUnknown,
            TaxRefusal::BadRate
            | TaxRefusal::NoReason { .. }
            | TaxRefusal::NotExempt { .. }
            | TaxRefusal::BadReason(_)
            | TaxRefusal::BadCode(_)
            | TaxRefusal::NoProduct
            | TaxRefusal::CategoryOfCustomers { .. }
            | TaxRefusal::RateWithoutTax { .. }
            | TaxRefusal::TooManyProducts { .. }
            | TaxRefusal::TooManyChanges { .. } => ProblemCode::Invalid,
        },
        Refusal::Credit(refusal) => match refusal {
            CreditRefusal::UnknownParty { .. } => ProblemCode::PartyUnknown,
            CreditRefusal::Unknown { .. } => ProblemCode::CreditUnknown,
            CreditRefusal::BadAmount { .. }
            | CreditRefusal::BadPriority
            | CreditRefusal::BadThreshold { .. }
            | CreditRefusal::ExpiresInThePast
            | CreditRefusal::BadDescription(_)
            | CreditRefusal::BadReason(_) => ProblemCode::Invalid,
        },
        Refusal::Charge(refusal) => match refusal {
            ChargeRefusal::UnknownParty { .. } => ProblemCode::PartyUnknown,
            ChargeRefusal::BadAmount { .. } | ChargeRefusal::BadDescription(_) => ProblemCode::Invalid,
        },
        Refusal::Discount(refusal) => match refusal {
            DiscountRefusal::UnknownParty { .. } => ProblemCode::PartyUnknown,
            DiscountRefusal::UnknownCode { .. } => ProblemCode::DiscountCodeUnknown,
            DiscountRefusal::BadCode(_) => ProblemCode::Invalid,
        },
        Refusal::Account(refusal) => match refusal {
            AccountRefusal::UnknownParty { .. } => ProblemCode::PartyUnknown,
            AccountRefusal::NotOver { .. } => ProblemCode::PeriodNotOver,
            AccountRefusal::AlreadyClosed { .. } => ProblemCode::BooksClosed,
        },
        Refusal::Access(refusal) => of_access(refusal),
        Refusal::Erasure(refusal) => match refusal {
            ErasureRefusal::UnknownParty { .. } => ProblemCode::PartyUnknown,
            ErasureRefusal::UnknownInstance { .. } => ProblemCode::InstanceUnknown,
            ErasureRefusal::InstanceLives { .. } => ProblemCode::InstanceLives,
            ErasureRefusal::HasInstances { .. } => ProblemCode::PartyHasInstances,
            ErasureRefusal::HasComputer { .. } => ProblemCode::PartyHasComputers,
            ErasureRefusal::Sells { .. } => ProblemCode::PartySells,
        },
        // No route restores; the command line does, and shows the detail.
        Refusal::Restore(refusal) => match refusal {
            RestoreRefusal::NotTheProgram => ProblemCode::Unauthorized,
            RestoreRefusal::ClockBehind { .. } => ProblemCode::ClockBehind,
            RestoreRefusal::MarkTaken { .. } => ProblemCode::Conflict,
            RestoreRefusal::BadPlace { .. }
            | RestoreRefusal::NotKept { .. }
            | RestoreRefusal::TooMany
            | RestoreRefusal::BadNumber { .. }
            | RestoreRefusal::StatedTwice { .. }
            | RestoreRefusal::UnknownSeries { .. }
            | RestoreRefusal::YearNotBegun { .. }
            | RestoreRefusal::BelowKnown { .. } => ProblemCode::Invalid,
        },
    }
}

fn of_computer(refusal: &ComputerRefusal) -> ProblemCode {
    match refusal {
        ComputerRefusal::Unknown(_) => ProblemCode::ComputerUnknown,
        ComputerRefusal::UnknownParty { .. } => ProblemCode::PartyUnknown,
        ComputerRefusal::AlreadyRegistered { .. } => ProblemCode::ComputerRegistered,
        ComputerRefusal::Retired { .. } => ProblemCode::ComputerRetired,
        ComputerRefusal::PartitionTwice { .. }
        | ComputerRefusal::BadText { .. }
        | ComputerRefusal::BadReference { .. }
        | ComputerRefusal::UnknownAttribute { .. }
        | ComputerRefusal::TooMany { .. }
        | ComputerRefusal::TooLong { .. } => ProblemCode::Invalid,
    }
}

fn of_instance(refusal: &InstanceRefusal) -> ProblemCode {
    match refusal {
        InstanceRefusal::UnknownParty { .. } => ProblemCode::PartyUnknown,
        InstanceRefusal::PartyErased { .. } => ProblemCode::PartyErased,
        InstanceRefusal::UnknownInstance { .. } | InstanceRefusal::NothingToDestroy { .. } => {
            ProblemCode::InstanceUnknown
        }
        InstanceRefusal::UnknownComputer(_) => ProblemCode::ComputerUnknown,
        InstanceRefusal::UnknownPartition { .. } => ProblemCode::PartitionUnknown,
        InstanceRefusal::PartitionFree { .. } => ProblemCode::PartitionFree,
        InstanceRefusal::NoRoom { .. } => ProblemCode::NoFreePartition,
        InstanceRefusal::NotToBeDestroyed { .. } => ProblemCode::StillRequested,
        InstanceRefusal::TooManyWait { .. } => ProblemCode::QuotaExceeded,
        InstanceRefusal::StillOffered { .. } => ProblemCode::PartitionOffered,
        InstanceRefusal::OtherKey { .. } => ProblemCode::ModifiedConcurrently,
        InstanceRefusal::RequesterGoes { .. } => ProblemCode::InstanceDestroyed,
        InstanceRefusal::NameTaken { .. } => ProblemCode::NameTaken,
        InstanceRefusal::UnknownFilter { .. } | InstanceRefusal::BadFilter { .. } => ProblemCode::Invalid,
    }
}

fn of_pricing(refusal: &PricingRefusal) -> ProblemCode {
    match refusal {
        PricingRefusal::OtherCurrency { .. } => ProblemCode::CurrencyFixed,
        PricingRefusal::OtherPriceTax { .. } => ProblemCode::Conflict,
        PricingRefusal::Retroactive { .. } => ProblemCode::PeriodInvoicedByPrices,
        PricingRefusal::SameCustomers { .. } => ProblemCode::SeveralPricesForCustomer,
        PricingRefusal::UnknownBook { .. } => ProblemCode::PriceBookUnknown,
        PricingRefusal::UnknownCustomer { .. } => ProblemCode::PartyUnknown,
        PricingRefusal::UnknownOverride { .. } => ProblemCode::OverrideUnknown,
        PricingRefusal::OverrideTie { .. } => ProblemCode::OverrideTie,
        PricingRefusal::BreaksOverride { .. } => ProblemCode::OverrideNeedsResource,
        PricingRefusal::ResourceTwice { .. }
        | PricingRefusal::MeterDoesNotFit { .. }
        | PricingRefusal::BadMeter { .. }
        | PricingRefusal::BadUnit { .. }
        | PricingRefusal::BadConversion { .. }
        | PricingRefusal::BadMost { .. }
        | PricingRefusal::BadOverride { .. }
        | PricingRefusal::BadOverrideRate { .. }
        | PricingRefusal::UndeclaredByBook { .. }
        | PricingRefusal::BadCarryOver { .. }
        | PricingRefusal::BadGroups { .. }
        | PricingRefusal::UndeclaredResource { .. }
        | PricingRefusal::BadTerm { .. }
        | PricingRefusal::BadRate { .. }
        | PricingRefusal::Tie { .. }
        | PricingRefusal::NoRates
        | PricingRefusal::TooLarge { .. }
        | PricingRefusal::OverrideTooLarge { .. } => ProblemCode::Invalid,
    }
}

fn of_invoice(refusal: &InvoiceRefusal) -> ProblemCode {
    match refusal {
        InvoiceRefusal::UnknownParty { .. } => ProblemCode::PartyUnknown,
        InvoiceRefusal::UnknownRun { .. } => ProblemCode::RunUnknown,
        InvoiceRefusal::UnknownPriceBook { .. } => ProblemCode::PriceBookUnknown,
        InvoiceRefusal::UnknownInvoice { .. } => ProblemCode::InvoiceUnknown,
        InvoiceRefusal::UnknownLine { .. } => ProblemCode::LineUnknown,
        InvoiceRefusal::EmptyPeriod
        | InvoiceRefusal::GraceTooLong
        | InvoiceRefusal::TooManyPayers
        | InvoiceRefusal::PayerNotNamed { .. }
        | InvoiceRefusal::OtherPeriod
        | InvoiceRefusal::SumsDoNotAddUp { .. }
        | InvoiceRefusal::NoLines
        | InvoiceRefusal::LineTwice { .. }
        | InvoiceRefusal::BadAmount { .. }
        | InvoiceRefusal::BadReason(_) => ProblemCode::Invalid,
        InvoiceRefusal::NoPriceBook => ProblemCode::NoPriceBook,
        InvoiceRefusal::SeveralPriceBooks => ProblemCode::SeveralPriceBooks,
        InvoiceRefusal::PeriodNotOver { .. } => ProblemCode::PeriodNotOver,
        InvoiceRefusal::InGrace { .. } => ProblemCode::GracePeriod,
        InvoiceRefusal::MissingDetails { .. } => ProblemCode::PartyDetailsMissing,
        InvoiceRefusal::UsageInDoubt { .. } => ProblemCode::UsageInDoubt,
        InvoiceRefusal::NoSeries { .. } => ProblemCode::NoSeries,
        InvoiceRefusal::ChargeNotOpen { .. } => ProblemCode::ChargeNotOpen,
        InvoiceRefusal::AlreadyInvoiced { .. } => ProblemCode::AlreadyInvoiced,
        InvoiceRefusal::RunFinal { .. } => ProblemCode::RunFinal,
        InvoiceRefusal::RunWithdrawn { .. } => ProblemCode::RunWithdrawn,
        InvoiceRefusal::RunStarted { .. } => ProblemCode::RunStarted,
        InvoiceRefusal::PeriodInvoiced { .. } => ProblemCode::PeriodAlreadyInvoiced,
        InvoiceRefusal::Outdated { .. } => ProblemCode::DraftOutdated,
        InvoiceRefusal::CorrectedMeanwhile { .. } => ProblemCode::ModifiedConcurrently,
        InvoiceRefusal::RunIncomplete { .. } => ProblemCode::RunIncomplete,
        InvoiceRefusal::NotAnInvoice { .. } => ProblemCode::NotAnInvoice,
        InvoiceRefusal::Void { .. } => ProblemCode::InvoiceVoid,
        InvoiceRefusal::MoreThanLeft { .. } => ProblemCode::LineOverCredited,
        InvoiceRefusal::MoreThanDocument { .. } => ProblemCode::InvoiceOverCredited,
        InvoiceRefusal::OtherDocument { .. } => ProblemCode::DocumentDiffers,
        InvoiceRefusal::DraftHeld { .. } => ProblemCode::DraftHeld,
        InvoiceRefusal::DraftNotApproved { .. } => ProblemCode::DraftNotApproved,
    }
}

fn of_access(refusal: &AccessRefusal) -> ProblemCode {
    match refusal {
        AccessRefusal::UnknownProject(_) => ProblemCode::ProjectUnknown,
        AccessRefusal::UnknownHolder(_) => ProblemCode::HolderUnknown,
        AccessRefusal::Unknown(_) => ProblemCode::CredentialUnknown,
        // The credential of the sender, which may be a token or a certificate. Only tokens expire while a command waits.
        AccessRefusal::Unauthenticated(why) => match why {
            InvalidCredential::Revoked => ProblemCode::CredentialRevoked,
            InvalidCredential::Spent => ProblemCode::TokenUsed,
            InvalidCredential::Expired => ProblemCode::TokenExpired,
            InvalidCredential::Unknown => ProblemCode::Unauthorized,
        },
        // A token that is to be spent.
        AccessRefusal::TokenInvalid(why) => of_token(*why),
        AccessRefusal::OtherPurpose => ProblemCode::TokenPurpose,
        AccessRefusal::TitleTaken { .. } => ProblemCode::NameTaken,
        AccessRefusal::StillActive => ProblemCode::CredentialActive,
        AccessRefusal::TooMany(_) => ProblemCode::TooManyCredentials,
        AccessRefusal::IssuedBefore(_) => ProblemCode::CredentialIssued,
        AccessRefusal::BadTitle(_)
        | AccessRefusal::BadLabel(_)
        | AccessRefusal::BadHolder(_)
        | AccessRefusal::BadRoles(_)
        | AccessRefusal::NotForAllProjects
        | AccessRefusal::BadExpiry(_) => ProblemCode::Invalid,
    }
}

/// Why a token is not valid.
pub fn of_token(why: InvalidCredential) -> ProblemCode {
    match why {
        InvalidCredential::Revoked => ProblemCode::TokenRevoked,
        InvalidCredential::Spent => ProblemCode::TokenUsed,
        InvalidCredential::Expired => ProblemCode::TokenExpired,
        InvalidCredential::Unknown => ProblemCode::TokenUnknown,
    }
}

/// Why a certificate is not valid.
pub fn of_certificate(why: InvalidCredential) -> ProblemCode {
    match why {
        InvalidCredential::Revoked => ProblemCode::CertificateRevoked,
        InvalidCredential::Expired => ProblemCode::CertificateExpired,
        // A certificate is never spent.
        InvalidCredential::Unknown | InvalidCredential::Spent => ProblemCode::CertificateUnknown,
    }
}
