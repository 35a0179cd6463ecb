//! Parties over REST: those who request, sell and pay; what documents say of them, and how they are taxed.
//!
//! Names and details are sealed under a key of the party and opened here. A change of time zone counts from the next
//! month on.

pub(super) mod describe;
pub(super) mod details;
#[cfg(test)]
mod tests;

use axum::extract::Request;
use axum::http::{StatusCode, Uri};
use schemars::JsonSchema;
use serde::Serialize;
use slapledger_billing::{BillingView, Payer};
use slapledger_core::domain::access::{Holder, Which};
use slapledger_core::domain::erasure::{self, Erase};
use slapledger_core::domain::event::Stream;
use slapledger_core::domain::id::{KeyId, PartyId, ResourceId, Sequence, SoftwareRelease};
use slapledger_core::domain::party::{DescribeParty, Description, RegisterParty, Series, SetPartyTimeZone};
use slapledger_core::domain::quantity::Quantity;
use slapledger_core::domain::tax::{
    Exemption, ProductTaxEntry, SetProductTax, SetTaxRate, SetTaxTreatment, TaxCategory, TaxedProduct,
};
use slapledger_core::domain::time::{TimeZone, Timestamp};
use slapledger_core::domain::{Answer, Command};
use slapledger_core::keyring::KeyRing;
use slapledger_core::ledger::Submission;
use slapledger_kit::answer::HttpAnswer;
use slapledger_kit::code::ProblemCode;
use slapledger_kit::json_body::{self, Replaced};
use slapledger_kit::problem::Problem;
use slapledger_kit::sealing::seal_bytes;
use slapledger_projections::SlapViews;
use slapledger_usecases::caller::FIRST_PARTY;
use slapledger_usecases::certification;
use slapledger_usecases::context::{RequestContext, to_its_end};
use slapledger_usecases::erasure::destroy_key;
use slapledger_usecases::invoicing::open_name;
use slapledger_usecases::reading::fresh;

use self::describe::{CredentialsOfParty, PartyChanged, PartyWanted, ProductTax, TaxRate, Treatment};
use self::details::{Details, DetailsChange};
use super::change::{ChangedResource, ResourceChange};
use super::openapi::schema::{self, List};
use super::query::{self, Named, Query};
use super::usage::local;
use crate::access::Authorised;

/// A party.
#[derive(Clone, Serialize, JsonSchema)]
pub(crate) struct PartyForm {
    id: PartyId,
    name: String,
    /// Where its months are cut, by now.
    time_zone: TimeZone,
    /// Where they will be cut from the next month on, if that is another zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_time_zone: Option<TimeZone>,
    #[serde(flatten)]
    details: Details,
    /// What the numbers of its own invoices begin with.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Series>")]
    series: Option<Series>,
    /// In how many days it pays, or is paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    terms_days: Option<u16>,
    /// How it is taxed as a customer; from the latest that has begun.
    tax_treatments: Vec<TreatmentForm>,
    /// What it charges as a seller.
    tax_rates: Vec<RateForm>,
    /// What it charges as a seller for some products.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    product_taxes: Vec<ProductTaxForm>,
    registered_at: Timestamp,
    /// When its name and details were erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    erased_at: Option<Timestamp>,
    /// The last event about it.
    sequence: Sequence,
}

#[derive(Clone, Serialize, JsonSchema)]
struct TreatmentForm {
    category: TaxCategory,
    #[serde(flatten)]
    exemption: Option<Exemption>,
    valid_from: Timestamp,
}

/// The tax of a product.
#[derive(Clone, Serialize, JsonSchema)]
struct ProductTaxForm {
    #[serde(skip_serializing_if = "Option::is_none")]
    software_release: Option<SoftwareRelease>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<ResourceId>,
    category: TaxCategory,
    /// In percent, for category S; that of the seller, if it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<schema::Decimal>")]
    rate: Option<Quantity>,
    #[serde(flatten)]
    exemption: Option<Exemption>,
    valid_from: Timestamp,
}

#[derive(Clone, Serialize, JsonSchema)]
struct RateForm {
    #[schemars(with = "schema::Decimal")]
    rate: Quantity,
    valid_from: Timestamp,
}

impl PartyForm {
    fn of((keys, now): (&KeyRing, Timestamp), view: &BillingView, id: PartyId, party: &Payer) -> Self {
        let taxes = view.billing.taxes();
        let treatment = |(valid_from, category, exemption): (Timestamp, TaxCategory, Option<&Exemption>)| {
            TreatmentForm { category, exemption: exemption.cloned(), valid_from }
        };
        let product_tax = |(product, entry): (&TaxedProduct, &ProductTaxEntry)| ProductTaxForm {
            software_release: product.software_release.clone(),
            resource: product.resource.clone(),
            category: entry.category,
            rate: entry.rate,
            exemption: entry.exemption.clone(),
            valid_from: entry.valid_from,
        };
        let time_zone = party.calendar.zone_at(now);
        Self {
            id,
            name: open_name(keys, Some(&party.name)),
            time_zone,
            next_time_zone: Some(party.calendar.newest()).filter(|next| *next != time_zone),
            details: Details::open(keys, party.details.as_ref()),
            series: party.series.clone(),
            terms_days: party.terms_days,
            tax_treatments: taxes.treatments_of(id).map(treatment).collect(),
            tax_rates: taxes.rates_of(id).map(|(valid_from, rate)| RateForm { rate, valid_from }).collect(),
            product_taxes: taxes.products_of(id).map(product_tax).collect(),
            registered_at: party.registered_at,
            erased_at: party.erased_at,
            sequence: party.sequence,
        }
    }
}

pub(super) fn unknown(id: &str) -> Problem {
    Problem::unknown(ProblemCode::PartyUnknown, format!("there is no party {id}"))
}

pub(super) fn named(id: &str) -> Result<PartyId, Problem> {
    id.parse().map_err(|_| unknown(id))
}

/// A party as it is, and the key it is sealed under.
type PartyAndKey = (PartyForm, KeyId);

fn seen(ctx: &RequestContext, view: &BillingView, party: PartyId) -> Result<PartyAndKey, Problem> {
    let known = view.billing.party(party).filter(|_| ctx.caller.sees_party(party));
    let known = known.ok_or_else(|| unknown(&party.to_string()))?;
    Ok((PartyForm::of((ctx.keys(), ctx.now()), view, party, known), known.name.key))
}

/// A party as it is at a sequence or later, and at which.
async fn shown(
    ctx: &RequestContext,
    party: PartyId,
    min: Sequence,
) -> Result<(Sequence, PartyForm), Problem> {
    let read = ctx.billing().read_at(min, |view, sequence| {
        let (form, _) = seen(ctx, view, party)?;
        Ok((sequence, form))
    });
    read.await?
}

/// `GET /v1/parties`, in the order they were registered.
pub(super) async fn list(
    Authorised(ctx): Authorised,
    uri: Uri,
) -> Result<HttpAnswer<List<PartyForm>>, Problem> {
    let query = Query::read(&uri, &[])?;
    let (limit, after) = (query.limit()?, query.cursor::<PartyId>()?);
    let position = query.position(&ctx).await?;
    ctx.billing().reach(position).await?;
    let now = ctx.now();
    Ok(ctx.billing().read(|view, sequence| {
        let page = view.billing.parties(|party| ctx.caller.sees_party(party), after, limit);
        let items = page.items.into_iter();
        let items = items.map(|(id, party)| PartyForm::of((ctx.keys(), now), view, id, party)).collect();
        query::list(items, page.next, sequence)
    }))
}

/// `GET /v1/parties/{id}`.
pub(super) async fn show(
    Authorised(ctx): Authorised,
    Named(id): Named<String>,
    uri: Uri,
) -> Result<HttpAnswer<PartyForm>, Problem> {
    let party = named(&id)?;
    let position = Query::read(&uri, &[])?.position(&ctx).await?;
    let (sequence, form) = shown(&ctx, party, position).await?;
    Ok(HttpAnswer::resource(sequence, form))
}

/// `POST /v1/parties`: enters a party with all that is told of it.
pub(super) async fn register(
    Authorised(ctx): Authorised,
    request: Request,
) -> Result<HttpAnswer<PartyForm>, Problem> {
    let (sent, wanted) = json_body::read::<PartyWanted>(request, json_body::MOST_BYTES).await?;
    let told = wanted.changes().over(PartyFacts::default());
    let time_zone = wanted.time_zone.map_or(TimeZone::UTC, Into::into);
    let meta = query::meta(&ctx, local(&ctx), &sent.headers, &sent.content())?;
    let key = fresh(&ctx)?;
    let name = ctx.keys().seal(key, wanted.name.0.as_bytes()).map_err(|fault| Problem::fault(&fault))?;
    let description = (told != PartyFacts::default()).then(|| told.description(&ctx, key)).transpose()?;
    let command = Command::RegisterParty(RegisterParty { name, time_zone, description });
    let accepted = ctx.ledger().submit(Submission { meta, command }).await?;
    let Answer::Party(party) = accepted.answer else {
        return Err(Problem::fault(&"a party was answered with something else"));
    };
    let (sequence, form) = shown(&ctx, party, accepted.sequence).await?;
    let answer = HttpAnswer::tagged(StatusCode::CREATED, sequence, form);
    Ok(answer.located(&format!("/v1/parties/{party}")))
}

/// All that is told of a party beyond its name and zone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct PartyFacts {
    details: Details,
    series: Option<Series>,
    terms_days: Option<u16>,
}

impl PartyFacts {
    fn of(party: &PartyForm) -> Self {
        let PartyForm { details, series, terms_days, .. } = party.clone();
        Self { details, series, terms_days }
    }

    fn description(&self, ctx: &RequestContext, key: KeyId) -> Result<Description, Problem> {
        let bytes = self.details.bytes().map_err(|error| Problem::fault(&error))?;
        let details = bytes.map(|bytes| seal_bytes(ctx.keys(), key, &bytes)).transpose()?;
        Ok(Description {
            details,
            country: self.details.country(),
            vat_id: self.details.has_vat_id(),
            series: self.series.clone(),
            terms_days: self.terms_days,
        })
    }
}

/// What a body says of a party beyond its name and zone: what it leaves out stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct PartyChanges {
    details: DetailsChange,
    series: Replaced<schema::Series>,
    terms_days: Replaced<u16>,
}

impl PartyChanges {
    /// What is told of the party after the change.
    fn over(self, before: PartyFacts) -> PartyFacts {
        PartyFacts {
            details: self.details.over(before.details),
            series: self.series.or(before.series),
            terms_days: self.terms_days.or(before.terms_days),
        }
    }
}

/// `PATCH /v1/parties/{id}`: what is left out stays, what is null goes.
pub(super) async fn change(
    Authorised(ctx): Authorised,
    Named(id): Named<String>,
    request: Request,
) -> Result<HttpAnswer<PartyForm>, Problem> {
    let party = named(&id)?;
    let (sent, body) = json_body::read::<PartyChanged>(request, json_body::MOST_BYTES).await?;
    let (changes, time_zone) = (body.changes(), body.time_zone.map(TimeZone::from));
    let mut change = ResourceChange::new(&ctx, local(&ctx), &sent)?;
    let stream = Stream::Party(party);
    let find = |view: &BillingView| seen(&ctx, view, party);
    let show = |(form, _): &PartyAndKey| form.clone();
    let mut sequence = Sequence::ZERO;
    if time_zone.is_none() || changes != PartyChanges::default() {
        let command = |(form, key): &PartyAndKey| {
            let description = changes.clone().over(PartyFacts::of(form)).description(&ctx, *key)?;
            Ok(Command::DescribeParty(DescribeParty { party, description }))
        };
        let described = change.carry_out(ChangedResource { stream: stream.clone(), find, show, command });
        sequence = described.await?.sequence;
        change = change.next_step();
    }
    if let Some(time_zone) = time_zone {
        let command = |_: &PartyAndKey| Ok(Command::SetPartyTimeZone(SetPartyTimeZone { party, time_zone }));
        sequence = change.carry_out(ChangedResource { stream, find, show, command }).await?.sequence;
    }
    change.shown(sequence, find, show).await
}

/// `POST /v1/parties/{id}/erase`: name and details are gone for good.
pub(super) async fn erase(
    Authorised(ctx): Authorised,
    Named(id): Named<String>,
    request: Request,
) -> Result<HttpAnswer<PartyForm>, Problem> {
    let party = named(&id)?;
    let (sent, schema::Nothing {}) = json_body::read_optional(request, json_body::MOST_BYTES).await?;
    let erasing = async move {
        let change = ResourceChange::new(&ctx, local(&ctx), &sent)?;
        let subject = erasure::ErasureSubject::Party(party);
        let find = |view: &BillingView| seen(&ctx, view, party);
        let show = |(form, _): &PartyAndKey| form.clone();
        let command = |_: &PartyAndKey| Ok(Command::Erase(Erase { subject }));
        let erased = ChangedResource { stream: Stream::Party(party), find, show, command };
        let sequence = change.carry_out(erased).await?.sequence;
        destroy_key(&ctx, subject, sequence).await?;
        // What it came by has ended with it.
        ctx.access().reach(sequence).await?;
        change.shown(sequence, find, show).await
    };
    to_its_end(erasing).await
}

/// `POST /v1/parties/{id}/revoke-credentials`: it may not come in any more, from now on; with `with_computers`, nor its
/// computers, nor what is on them.
pub(super) async fn revoke_credentials(
    Authorised(ctx): Authorised,
    Named(id): Named<String>,
    request: Request,
) -> Result<HttpAnswer<PartyForm>, Problem> {
    let party = named(&id)?;
    let (_, revocation) =
        json_body::read_optional::<CredentialsOfParty>(request, json_body::MOST_BYTES).await?;
    let head = ctx.ledger().head().last;
    ctx.billing().read_at(head, |view, _| seen(&ctx, view, party).map(drop)).await??;
    certification::revoke(&ctx, Which::AllOf(Holder::Party(party))).await?;
    if revocation.with_computers.unwrap_or(false) {
        let theirs = |view: &SlapViews, _| -> Vec<_> {
            let theirs = view.inventory.iter().filter(|computer| computer.owner == party);
            theirs.map(|computer| computer.id.clone()).collect()
        };
        // It enters no more by now.
        let computers = ctx.slap().read_at(ctx.ledger().head().last, theirs).await?;
        certification::revoke_with_instances(&ctx, computers).await?;
    }
    let (sequence, form) = shown(&ctx, party, head).await?;
    Ok(HttpAnswer::ok(sequence, form))
}

/// `POST /v1/parties/{id}/tax-treatments`: how a customer is taxed from an instant on.
pub(super) async fn treat(
    Authorised(ctx): Authorised,
    Named(id): Named<String>,
    request: Request,
) -> Result<HttpAnswer<PartyForm>, Problem> {
    let customer = named(&id)?;
    let (sent, treatment) = json_body::read::<Treatment>(request, json_body::MOST_BYTES).await?;
    let Treatment { category, reason, code, valid_from } = treatment;
    let exemption = exemption_of(reason, code)?;
    let (category, valid_from) = (category.into(), valid_from.into());
    let command = SetTaxTreatment { customer, category, exemption, valid_from };
    let meta = query::meta(&ctx, local(&ctx), &sent.headers, &sent.content())?;
    let accepted =
        ctx.ledger().submit(Submission { meta, command: Command::SetTaxTreatment(command) }).await?;
    let (sequence, form) = shown(&ctx, customer, accepted.sequence).await?;
    Ok(HttpAnswer::tagged(StatusCode::CREATED, sequence, form))
}

fn exemption_of(
    reason: Option<schema::LongText>,
    code: Option<schema::ExemptionCode>,
) -> Result<Option<Exemption>, Problem> {
    if code.is_some() && reason.is_none() {
        return Err(Problem::field("reason", "is missing: a code goes with it"));
    }
    let code = code.map(|code| code.0.into());
    Ok(reason.map(|reason| Exemption { reason: reason.0.into(), code }))
}

/// `POST /v1/product-taxes`: what a seller charges for a product from an instant on.
pub(super) async fn set_product_tax(
    Authorised(ctx): Authorised,
    request: Request,
) -> Result<HttpAnswer<PartyForm>, Problem> {
    let (sent, wanted) = json_body::read::<ProductTax>(request, json_body::MOST_BYTES).await?;
    let seller = wanted.seller.map_or(FIRST_PARTY, Into::into);
    let product = TaxedProduct {
        software_release: wanted.software_release.map(|release| release.0),
        resource: wanted.resource.map(|resource| resource.0),
    };
    let command = SetProductTax {
        seller,
        product,
        category: wanted.category.into(),
        rate: wanted.rate.map(Into::into),
        exemption: exemption_of(wanted.reason, wanted.code)?,
        valid_from: wanted.valid_from.into(),
    };
    let meta = query::meta(&ctx, local(&ctx), &sent.headers, &sent.content())?;
    let accepted = ctx.ledger().submit(Submission { meta, command: Command::SetProductTax(command) }).await?;
    let (sequence, form) = shown(&ctx, seller, accepted.sequence).await?;
    Ok(HttpAnswer::tagged(StatusCode::CREATED, sequence, form))
}

/// `POST /v1/tax-rates`: what a seller charges from an instant on.
pub(super) async fn set_rate(
    Authorised(ctx): Authorised,
    request: Request,
) -> Result<HttpAnswer<PartyForm>, Problem> {
    let (sent, wanted) = json_body::read::<TaxRate>(request, json_body::MOST_BYTES).await?;
    let seller = wanted.seller.map_or(FIRST_PARTY, Into::into);
    let command = SetTaxRate { seller, rate: wanted.rate.into(), valid_from: wanted.valid_from.into() };
    let meta = query::meta(&ctx, local(&ctx), &sent.headers, &sent.content())?;
    let accepted = ctx.ledger().submit(Submission { meta, command: Command::SetTaxRate(command) }).await?;
    let (sequence, form) = shown(&ctx, seller, accepted.sequence).await?;
    Ok(HttpAnswer::tagged(StatusCode::CREATED, sequence, form))
}
