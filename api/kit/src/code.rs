//! The codes of problems: one table, of which docs/errors.md and the `OpenAPI` document are copies.
//!
//! A code is the last word of a problem's `type`. Clients compare it, so a code that was released keeps its name and its
//! meaning; new ones may be added.

#[cfg(test)]
mod tests;

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct CodeRow {
    /// The code.
    pub code: ProblemCode,
    /// The statuses it is answered with over REST.
    pub statuses: &'static [u16],
    /// What it means.
    pub meaning: &'static str,
    /// What its reader can do about it.
    pub remedy: &'static str,
}

/// Declares the codes and their table together, so that no code is without a row.
macro_rules! codes {
    ($($variant:ident $word:literal [$($status:literal),+] $meaning:literal, $remedy:literal;)+) => {
        /// What kind of problem it is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ProblemCode {
            $(#[doc = $meaning] $variant,)+
        }

        /// All codes, by status.
        pub const CODES: &[CodeRow] = &[
            $(CodeRow {
                code: ProblemCode::$variant, statuses: &[$($status),+], meaning: $meaning, remedy: $remedy,
            },)+
        ];

        impl ProblemCode {
            /// The code as it is written.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            #[cfg(test)]
            fn variant(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($variant),)+
                }
            }
        }
    };
}

codes! {
    BadRequest "bad-request" [400]
        "The request cannot be read, or a member of it is not what the route takes.",
        "Correct the member that `field` names.";
    BodyMalformed "body-malformed" [400]
        "The body is not the JSON or XML that its media type promises.",
        "Correct the body.";
    UnknownField "unknown-field" [400]
        "The body has a member that the route does not know.",
        "Remove the member that `field` names, or correct its name.";
    Invalid "invalid" [400]
        "The request can be read, but it breaks a rule of the ledger.",
        "Correct the member that `field` names, as `detail` says.";
    UsageUnmeterable "usage-unmeterable" [400]
        "The suspended usage still cannot be metered with this correction.",
        "Correct the member that `field` names, or dismiss the usage.";

    Unauthorized "unauthorized" [401]
        "The request needs a credential, or may not carry the one it has.",
        "Send a client certificate or a token of this server.";
    TokenUnknown "token-unknown" [401, 409]
        "The server does not know the token.",
        "Check that the whole token was sent, to the right server.";
    TokenExpired "token-expired" [401, 409]
        "The token has expired.",
        "Have another one issued.";
    TokenRevoked "token-revoked" [401, 409]
        "The token was revoked.",
        "Have another one issued.";
    TokenUsed "token-used" [401, 409]
        "The token works once, and was used.",
        "Have another one issued.";
    TokenPurpose "token-purpose" [401, 400]
        "The token was issued for another purpose.",
        "Use a token with the purpose of this request.";
    CertificateUnknown "certificate-unknown" [401]
        "The server has not issued the client certificate.",
        "Use a certificate of this server, or register again.";
    CertificateExpired "certificate-expired" [401]
        "The client certificate has expired.",
        "Have another one issued.";
    CertificateRevoked "certificate-revoked" [401]
        "The client certificate was revoked.",
        "Have another one issued.";
    CredentialRevoked "credential-revoked" [401]
        "The credential was revoked while the server worked on the request.",
        "Have another one issued; nothing was recorded.";

    Forbidden "forbidden" [403]
        "The credential does not permit this.",
        "Use a credential with one of the roles that `detail` names.";
    HostUnknown "host-unknown" [403]
        "The request names a host that this server is not.",
        "Use the address of the server, or add the name to its configuration.";
    CrossSite "cross-site" [403]
        "The request comes from a page of another site.",
        "Send it from a page of this server, or from a program.";

    NotFound "not-found" [404]
        "What the path or the query names does not exist, or is not visible to the caller.",
        "Check the path.";
    PartyUnknown "party-unknown" [404]
        "The request names a party that does not exist.",
        "Register the party, or correct its id.";
    ComputerUnknown "computer-unknown" [404]
        "The request names a computer that does not exist.",
        "Register the computer, or correct its reference.";
    PartitionUnknown "partition-unknown" [404]
        "The computer has no such partition.",
        "Report the configuration of the computer, or correct the partition.";
    PartitionFree "partition-free" [404]
        "No instance is allocated to the partition.",
        "Request an instance, or correct the partition.";
    InstanceUnknown "instance-unknown" [404]
        "The request names an instance that does not exist, or has been destroyed.",
        "Correct the id.";
    SoftwareNotSupplied "software-not-supplied" [404]
        "The software release was never supplied to the computer.",
        "Supply the release to the computer first.";
    NoFreePartition "no-free-partition" [404]
        "No free partition meets the request.",
        "Register partitions, relax the filter, or try again later.";
    OverrideUnknown "override-unknown" [404]
        "The price book has no such override.",
        "List them with GET /v1/price-books/NAME/overrides.";
    PriceBookUnknown "price-book-unknown" [404]
        "The request names a price book that does not exist.",
        "Publish it, or correct its name.";
    RunUnknown "run-unknown" [404]
        "The request names an invoice run that does not exist.",
        "Correct the id.";
    InvoiceUnknown "invoice-unknown" [404]
        "The request names no document that is final.",
        "Correct the number, or finalise the run.";
    LineUnknown "line-unknown" [404]
        "The document has no such line.",
        "Correct the number of the line.";
    CreditUnknown "credit-unknown" [404]
        "The request names prepaid credit that does not exist.",
        "Correct the id.";
    DiscountCodeUnknown "discount-code-unknown" [404]
        "No discount that applies now has this code for the customer.",
        "Correct the code, or publish a price book that has it.";
    UsageUnknown "usage-unknown" [404]
        "The computer has reported no usage event of this id.",
        "Correct `computer` and `id`; the id is the one that the sender gave.";
    UsageNotSuspended "usage-not-suspended" [404]
        "No usage is suspended under this sequence.",
        "List the suspended usage; somebody may have resolved it.";
    ProjectUnknown "project-unknown" [404]
        "The request names a project that does not exist.",
        "Create the project, or correct its id.";
    HolderUnknown "holder-unknown" [404]
        "The holder of the credential does not exist.",
        "Register the holder first, or correct it.";
    SchemaUnknown "software-schema-unknown" [404]
        "Nobody has described the parameters of the release.",
        "Supply a schema, or send parameters without one.";
    EntryUnknown "catalogue-entry-unknown" [404]
        "The catalogue has no entry of this name.",
        "List the catalogue, or record the entry first.";
    CredentialUnknown "credential-unknown" [404]
        "The request names a credential that does not exist.",
        "Correct the id.";

    MethodNotAllowed "method-not-allowed" [405]
        "The path does not take this method.",
        "Use a method that `allow` names.";
    NotAcceptable "not-acceptable" [406]
        "The client accepts neither JSON nor XML.",
        "Accept `application/json` or `application/xml`.";

    Conflict "conflict" [409, 404]
        "The state of the ledger does not allow it.",
        "Read `detail`, then the resource, and decide anew.";
    IdempotencyKeyReused "idempotency-key-reused" [409]
        "The `Idempotency-Key` was used before with a different request.",
        "Use another key for another request.";
    NameTaken "name-taken" [409]
        "Something else has the name already.",
        "Choose another name.";
    ComputerRegistered "computer-registered" [409]
        "A computer with this reference is registered already.",
        "Use that computer, or choose another reference.";
    ProductTaken "product-taken" [409]
        "Another party publishes the product.",
        "Choose another name for the product.";
    StillRequested "still-requested" [409, 404]
        "A node reports as destroyed what its user still wants.",
        "Keep it, or have its user request that it be destroyed.";
    PartitionOffered "partition-offered" [409]
        "The partition to release is still offered by its computer.",
        "Destroy its instance instead; its node reports when that is done.";
    QuotaExceeded "quota-exceeded" [409]
        "The party or computer has as many of these as it may have.",
        "Remove some of them, then repeat the request.";
    ComputerRetired "computer-retired" [409]
        "The computer was retired.",
        "Register a new computer.";
    InstanceDestroyed "instance-destroyed" [409]
        "The instance has been destroyed, or is about to be.",
        "Request another instance.";
    InstanceUnallocated "instance-unallocated" [409]
        "The instance has no partition yet.",
        "Try again when it is allocated.";
    InstanceLives "instance-lives" [409]
        "An instance that is not destroyed cannot be erased.",
        "Destroy it, and wait until its node has reported so.";
    Erased "erased" [409]
        "What it held was erased, and nothing can be added to it.",
        "Use another one.";
    PartyErased "party-erased" [409]
        "The party was erased, and nothing can be recorded for it.",
        "Use another party.";
    PartyHasInstances "party-has-instances" [409]
        "The party pays for instances that live, and cannot be erased.",
        "Destroy its instances first.";
    PartyHasComputers "party-has-computers" [409]
        "Instances live on computers of the party, which cannot be erased.",
        "Destroy what is on its computers first.";
    PartySells "party-sells" [409]
        "The party issues documents, which must name it, and cannot be erased.",
        "Keep the party.";
    SeriesTaken "series-taken" [409]
        "Another party issues documents with the numbers of this series.",
        "Choose another series.";
    CurrencyFixed "currency-fixed" [409]
        "A price book keeps its currency for ever.",
        "Publish it under another name.";
    PeriodInvoicedByPrices "period-invoiced-by-prices" [409]
        "The version would take effect in a period that is invoiced.",
        "Choose a later `valid_from`, or publish it with `retroactive=true`.";
    SeveralPricesForCustomer "several-prices-for-customer" [409]
        "Another price book has prices in this currency for the same customers.",
        "Publish a version of that book, or name customers in every rate.";
    OverrideTie "override-tie" [409]
        "The customer has another price for the same at the same time.",
        "End the override that `detail` names first.";
    OverrideNeedsResource "override-needs-resource" [409]
        "The version does not allow for a price that a customer has of their own.",
        "Keep what the override needs that `detail` names, or end the override first.";
    NoPriceBook "no-price-book" [409]
        "There is no price book.",
        "Publish one first.";
    SeveralPriceBooks "several-price-books" [409]
        "There are several price books, and the request names none.",
        "Name one in `price_book`.";
    PeriodNotOver "period-not-over" [409]
        "The period is not over yet.",
        "Try again after its end.";
    DraftHeld "draft-held" [409]
        "Somebody holds the draft of the invoice.",
        "Approve the draft (POST /v1/invoices/ID/approve), or withdraw the run.";
    DraftNotApproved "draft-not-approved" [409]
        "The draft is to be finalised alone, and nobody has approved it.",
        "Approve the draft (POST /v1/invoices/ID/approve), or finalise its run.";
    GracePeriod "grace-period" [409]
        "The drafts of the run are in their grace period.",
        "Try again when the grace period is over.";
    PartyDetailsMissing "party-details-missing" [409]
        "The document lacks something that its tax categories require.",
        "Add the details that `detail` names to the party.";
    UsageInDoubt "usage-in-doubt" [409]
        "Usage of the payer is implausible, or too much to be charged.",
        "Resolve, dismiss or correct the usage, then refresh the run.";
    NoSeries "no-series" [409]
        "The seller has no series of invoice numbers.",
        "Give the seller a series.";
    ChargeNotOpen "charge-not-open" [409]
        "A one-off charge is on another document, or differs from the draft.",
        "Refresh the run.";
    AlreadyInvoiced "already-invoiced" [409]
        "The run has issued an invoice for this payer.",
        "Read the invoice that `detail` names.";
    RunFinal "run-final" [409]
        "The run is final and issues nothing more.",
        "Open another run, or credit its invoices.";
    RunWithdrawn "run-withdrawn" [409]
        "The run was withdrawn.",
        "Open another run.";
    RunStarted "run-started" [409]
        "The run has issued documents, so its drafts cannot be refreshed.",
        "Finalise the run, or withdraw the rest of it.";
    PeriodAlreadyInvoiced "period-already-invoiced" [409]
        "An invoice of another run covers some of the period.",
        "Choose another period, or void the invoice that `detail` names.";
    DraftOutdated "draft-outdated" [409]
        "Another document was issued for the payer after the draft was made.",
        "Refresh the run, or withdraw it.";
    RunIncomplete "run-incomplete" [409]
        "Not all drafts of the run are final.",
        "Correct what keeps the others, and finalise the run again.";
    NotAnInvoice "not-an-invoice" [409]
        "The document is a credit note, which cannot be credited or corrected.",
        "Charge what it credited too much.";
    InvoiceVoid "invoice-void" [409]
        "All of the invoice was credited.",
        "Invoice its period again.";
    LineOverCredited "line-over-credited" [409]
        "The amount is zero, or more than is left to credit of the line.",
        "Credit at most what `detail` says is left.";
    InvoiceOverCredited "invoice-over-credited" [409]
        "The lines together are more than is left to credit of the document.",
        "Credit at most what `detail` says is left.";
    DocumentDiffers "document-differs" [409]
        "The document is not the one that was issued.",
        "Read it again.";
    AmountUnchanged "amount-unchanged" [409]
        "The line already charges this amount.",
        "Nothing needs to be done.";
    BooksClosed "books-closed" [409]
        "The books are closed up to that instant already.",
        "Choose a later instant.";
    CredentialActive "credential-active" [409]
        "The holder has a certificate that is still active.",
        "Revoke it, or say that the new one takes its place.";
    TooManyCredentials "too-many-credentials" [409]
        "The holder has as many active credentials as a holder may have.",
        "Revoke some.";
    CredentialIssued "credential-issued" [409]
        "The id is that of another credential.",
        "Send the request again.";
    ClockStatedOtherwise "clock-stated-otherwise" [409]
        "The time that the request confirms is not what the server's clock shows.",
        "Correct the clock, or state the time that it shows.";
    RebuildUnderWay "rebuild-under-way" [409]
        "The projection is being rebuilt, or a new generation of it waits for a swap.",
        "Wait until it is done, or cancel it.";
    GenerationUnconfirmed "generation-unconfirmed" [409]
        "The previous generation of the projection differs from the live one, and nobody confirmed that.",
        "Confirm the live generation, or swap back.";
    NoSuchGeneration "no-such-generation" [409]
        "The projection has no generation in the state that the request is about.",
        "Read its generations.";
    RebuildCancelled "rebuild-cancelled" [409]
        "The rebuild was cancelled before its end.",
        "Begin another one.";

    PreconditionFailed "precondition-failed" [412]
        "The resource was modified since the client read it.",
        "Read it again, and retry with its new `ETag`.";
    TooLarge "too-large" [413]
        "A member of the request is larger than what is kept of it.",
        "Shorten the member that `field` names.";
    BodyTooLarge "body-too-large" [413]
        "The body is larger than the route takes.",
        "Send less, or several requests.";
    MediaType "media-type" [415]
        "The route does not read bodies of this type.",
        "Send one of the types that `detail` names.";
    NoUsageAccepted "no-usage-accepted" [422]
        "Of the usage events in the body none was accepted.",
        "Correct what `outcomes` names; resolve or dismiss what is suspended.";
    TooManyRequests "too-many-requests" [429]
        "The sender is above its rate limit.",
        "Try again after `retry-after`.";
    TooManyFailedAttempts "too-many-failed-attempts" [429]
        "Too many invalid credentials came from this address.",
        "Correct the credential, and try again after `retry-after`.";

    Fault "fault" [500]
        "A fault of the server; its log says more.",
        "Report it to the operator.";
    Unavailable "unavailable" [503]
        "The server cannot answer at the moment.",
        "Try again after `retry-after`.";
    ModifiedConcurrently "modified-concurrently" [503]
        "Others modified the resource while the server worked on the request.",
        "Send the request again after `retry-after`.";
    Overloaded "overloaded" [503]
        "Too many requests or commands wait.",
        "Try again after `retry-after`.";
    TooManyConnections "too-many-connections" [503]
        "The server has no place for another connection.",
        "Use fewer connections, or try again after `retry-after`.";
    Stopping "stopping" [503]
        "The server is stopping and has not carried the request out.",
        "Try again after `retry-after`.";
    RequestTimeout "request-timeout" [503]
        "The request took too long; it may yet be carried out.",
        "Send it again with the same `Idempotency-Key`.";
    BodyTimeout "body-timeout" [503]
        "The body came too slowly.",
        "Send the request again.";
    SequenceNotReached "sequence-not-reached" [503]
        "What is read does not reflect the wanted sequence yet.",
        "Try again after `retry-after`.";
    ErasurePending "erasure-pending" [503]
        "The erasure is recorded, but the key is not destroyed yet.",
        "Nothing; the server tries again. The operator sees why in its log.";
    WriterStopped "writer-stopped" [503]
        "The writer has stopped, and nothing is recorded.",
        "Tell the operator; the server has to be restarted.";
    ClockUnconfirmed "clock-unconfirmed" [503]
        "The server's clock is in doubt, and nothing is recorded.",
        "Correct the clock, or confirm it: `slapledger clock confirm`.";
    ClockBehind "clock-behind" [503, 409]
        "The server's clock is behind the last recorded time.",
        "Try again after `retry-after`, or correct the clock.";

    InsufficientStorage "insufficient-storage" [507]
        "The disk of the server is full up to its reserve.",
        "Free space on the server.";

    MasterUnreachable "master-unreachable" [523]
        "Another master, to which the request is forwarded, cannot answer.",
        "Wait until that master serves again, then repeat the request.";
}

impl ProblemCode {
    /// Its row of the table.
    pub fn row(self) -> &'static CodeRow {
        // A row for each, in the order of the enum, as both come from one declaration.
        &CODES[self as usize]
    }

    /// The code as the `type` of a problem.
    pub fn urn(self) -> String {
        format!("urn:slapledger:problem:{}", self.as_str())
    }

    /// The code of a `type`.
    pub fn of_urn(urn: &str) -> Option<Self> {
        let word = urn.strip_prefix("urn:slapledger:problem:")?;
        CODES.iter().map(|row| row.code).find(|code| code.as_str() == word)
    }
}
