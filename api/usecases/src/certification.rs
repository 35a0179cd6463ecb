//! Credentials: tokens and certificates, from the decision to what is handed out.
//!
//! The event comes first, then the sender gets the secret; a secret that was not handed out is no use to anybody. A
//! credential counts from the moment its sender is answered, and a revoked one is invalid from then on: both wait until
//! the view that requests are authenticated against shows it. Keys of instances are kept, sealed under the key of their
//! instance, because nodes ask for them at every run; all others are forgotten when they are handed out.
//!
//! It decides nothing: the core decides who may have which credential, and the policy who may ask.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use sha2::{Digest, Sha256};
use slapledger_ca::{CertificateSubject, Issued, Validity};
use slapledger_core::domain::access::{
    Credential, Holder, IssueCredential, Proof, Purpose, Renews, RevokeCredentials, Role, Roles, Which,
};
use slapledger_core::domain::computer::NoticeSilence;
use slapledger_core::domain::id::{ComputerId, CredentialId, InstanceId, KeyId, ProjectId};
use slapledger_core::domain::sealed::Sealed;
use slapledger_core::domain::time::Timestamp;
use slapledger_core::domain::{Answer, Command};
use slapledger_core::ledger::Submission;
use slapledger_core::log::envelope::{Actor, Meta};
use slapledger_dto::token::Token;
use slapledger_engine::random_bytes;
use slapledger_kit::problem::Problem;
use zeroize::Zeroizing;

use super::context::to_its_end;
use crate::context::RequestContext;

const DAY_MICROS: i64 = 86_400_000_000;
/// How long a certificate is good.
const CERTIFICATE_DAYS: i64 = 365;
/// A certificate of an instance is replaced when it is good for less.
const REPLACED_DAYS: i64 = 30;
/// How long a token is good that registers something once, if nobody says otherwise.
const ONCE_DAYS: i64 = 1;

/// A certificate and its key, as SLAP hands them out.
pub struct CertificatePair {
    /// The certificate, in text and in PEM.
    pub certificate: String,
    /// Its private key, in PEM.
    pub key: Zeroizing<String>,
}

/// A credential that is wanted.
pub struct WantedCredential {
    /// Whose.
    pub holder: Holder,
    /// What it lets them act as.
    pub roles: Roles,
    /// In all projects.
    pub all_projects: bool,
    /// For what.
    pub purpose: Purpose,
    /// What people call it.
    pub label: Option<Box<str>>,
    /// Until when.
    pub expires_at: Option<Timestamp>,
}

impl WantedCredential {
    /// The command that issues it.
    fn issue(self, credential: CredentialId, proof: Proof, because: Because) -> Command {
        let Self { holder, roles, all_projects, purpose, label, expires_at } = self;
        let Because { spends, renews } = because;
        Command::IssueCredential(Box::new(IssueCredential {
            credential,
            holder,
            roles,
            all_projects,
            purpose,
            proof,
            label,
            expires_at,
            spends,
            renews,
        }))
    }

    /// The command that issues it as a token.
    pub fn token(self, token: &Token) -> Command {
        self.issue(token.credential, Proof::Token { digest: token.digest() }, Because::default())
    }

    /// A token that registers a computer of somebody, or gets them a certificate: for a day, and no longer than anyone who
    /// issues it has theirs.
    pub fn once(ctx: &RequestContext, holder: Holder, roles: Roles, purpose: Purpose) -> Self {
        let day = ctx.now().plus_micros(ONCE_DAYS * DAY_MICROS);
        let until = ctx.caller.principal().and_then(|own| own.until);
        let expires_at = Some(until.map_or(day, |until| until.min(day)));
        Self { holder, roles, all_projects: false, purpose, label: None, expires_at }
    }
}

/// Issues a token, to be shown once.
pub async fn issue_token(ctx: &RequestContext, wanted: WantedCredential) -> Result<Token, Problem> {
    let token = Token::new(CredentialId(random_bytes()), random_bytes());
    carry_out_own(ctx, wanted.token(&token)).await?;
    Ok(token)
}

/// How a certificate comes about.
#[derive(Debug, Clone, Copy, Default)]
pub struct Because {
    /// A token that is good for it, once.
    pub spends: Option<CredentialId>,
    /// What it takes the place of.
    pub renews: Renews,
}

/// Issues a certificate to somebody.
pub async fn certify(
    ctx: &RequestContext,
    (holder, roles): (Holder, Roles),
    subject: &CertificateSubject,
    because: Because,
) -> Result<CertificatePair, Problem> {
    let now = ctx.now();
    let not_after = now.plus_micros(CERTIFICATE_DAYS * DAY_MICROS);
    let issued = ctx.certifier()?.authority.issue(subject, Validity { not_before: now, not_after });
    let issued: Issued = issued.map_err(|fault| Problem::fault(&fault))?;
    let wanted = WantedCredential {
        holder,
        roles,
        all_projects: false,
        purpose: Purpose::Access,
        label: None,
        expires_at: Some(issued.not_after),
    };
    let credential = CredentialId(issued.serial.to_be_bytes());
    let proof = Proof::Certificate { fingerprint: issued.fingerprint };
    carry_out_own(ctx, wanted.issue(credential, proof, because)).await?;
    Ok(CertificatePair { certificate: issued.certificate_pem, key: issued.key_pem })
}

/// A certificate for a computer.
pub async fn certify_computer(
    ctx: &RequestContext,
    computer: &ComputerId,
    because: Because,
) -> Result<CertificatePair, Problem> {
    let holder = Holder::Computer(computer.clone());
    let subject = CertificateSubject::Computer { id: computer.clone() };
    certify(ctx, (holder, Role::Node.into()), &subject, because).await
}

/// The certificate of an instance: the one it has, unless that is to end soon. Anyone who hangs up between its event
/// and its file stops neither.
pub async fn certify_instance(
    ctx: &Arc<RequestContext>,
    instance: InstanceId,
) -> Result<CertificatePair, Problem> {
    let ctx = Arc::clone(ctx);
    to_its_end(async move { kept_or_new(&ctx, instance).await }).await
}

async fn kept_or_new(ctx: &RequestContext, instance: InstanceId) -> Result<CertificatePair, Problem> {
    let certifier = ctx.certifier()?;
    let _one_at_a_time = certifier.issuing.lock().await;
    let read = ctx.slap().read_at(ctx.ledger().head().last, |view, _| {
        // What lives on another has no partition of its own, and does not come from one.
        let known = view.instances.get(instance).filter(|known| known.lives() && !known.shared)?;
        let place = known.allocation.as_ref()?;
        Some((known.key(), place.computer.clone(), place.partition.clone()))
    });
    let gone = || Problem::not_found(format!("instance {instance} has no partition"));
    let (key, computer, partition) = read.await?.ok_or_else(gone)?;
    let path = certifier.folder.join(format!("{}.{instance}", ctx.project));
    let holder = Holder::Instance(instance);
    if let Some(kept) = kept(ctx, &path).await
        && is_good_for_long(ctx, &holder, &kept)
    {
        return Ok(kept);
    }
    let subject = CertificateSubject::Instance { computer, partition, id: instance };
    let because = Because { renews: Renews::All, ..Because::default() };
    let pair = certify(ctx, (holder, Role::Instance.into()), &subject, because).await?;
    keep(ctx, &path, key, &pair).await?;
    Ok(pair)
}

/// Whether this very pair is good: what was kept may be older than the last event, if that was all that was written.
fn is_good_for_long(ctx: &RequestContext, holder: &Holder, pair: &CertificatePair) -> bool {
    let Ok(der) = CertificateDer::from_pem_slice(pair.certificate.as_bytes()) else { return false };
    let is = Proof::Certificate { fingerprint: Sha256::digest(&der).into() };
    let end = ctx.now().plus_micros(REPLACED_DAYS * DAY_MICROS);
    let project: ProjectId = ctx.project;
    ctx.access().read(|view, _| {
        view.access.certificates_of(project, holder, end).any(|known| known.issued.proof == is)
    })
}

/// What stands between certificate and key in the file of an instance.
const BETWEEN: &str = "\u{0}";

async fn kept(ctx: &RequestContext, path: &Path) -> Option<CertificatePair> {
    let (keys, path) = (Arc::clone(ctx.keys()), path.to_owned());
    let read = tokio::task::spawn_blocking(move || {
        let bytes = fs::read(path).ok()?;
        let (sealed, _): (Sealed, usize) =
            bincode::decode_from_slice(&bytes, bincode::config::standard()).ok()?;
        let opened = Zeroizing::new(keys.open_sealed(&sealed).ok()?);
        let (certificate, key) = std::str::from_utf8(&opened).ok()?.split_once(BETWEEN)?;
        Some(CertificatePair { certificate: certificate.to_owned(), key: Zeroizing::new(key.to_owned()) })
    });
    read.await.ok().flatten()
}

async fn keep(ctx: &RequestContext, path: &Path, key: KeyId, pair: &CertificatePair) -> Result<(), Problem> {
    let plain = Zeroizing::new(format!("{}{BETWEEN}{}", pair.certificate, *pair.key));
    let sealed = ctx.keys().seal(key, plain.as_bytes()).map_err(|fault| Problem::fault(&fault))?;
    let path = path.to_owned();
    let written = tokio::task::spawn_blocking(move || -> std::io::Result<()> {
        let bytes =
            bincode::encode_to_vec(sealed, bincode::config::standard()).map_err(std::io::Error::other)?;
        let mut temporary = path.clone().into_os_string();
        temporary.push(".new");
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, &path)?;
        path.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
    });
    let written = written.await.map_err(|error| Problem::fault(&error))?;
    written.map_err(|error| Problem::fault(&error))
}

/// Revokes credentials.
pub async fn revoke(ctx: &RequestContext, which: Which) -> Result<(), Problem> {
    let command = Command::RevokeCredentials(RevokeCredentials { which, issued_since: None });
    carry_out_own(ctx, command).await.map(drop)
}

/// Revokes the certificates of computers and of the instances in their partitions: they may be in other hands.
pub async fn revoke_with_instances(ctx: &RequestContext, computers: Vec<ComputerId>) -> Result<(), Problem> {
    let ctx = ctx.within(ctx.project);
    to_its_end(async move {
        for computer in computers {
            revoke(&ctx, Which::CertificatesOn(computer.clone())).await?;
            silence(&ctx, vec![(ctx.project, computer)]).await?;
        }
        Ok(())
    })
    .await
}

/// Revokes some credentials, and those that they issued, if the command says so; returns which those were.
pub async fn revoke_named(
    ctx: &Arc<RequestContext>,
    meta: Arc<Meta>,
    command: RevokeCredentials,
) -> Result<Vec<CredentialId>, Problem> {
    let ctx = Arc::clone(ctx);
    to_its_end(async move {
        let silences = command.issued_since.is_some();
        let answer = carry_out(&ctx, meta, Command::RevokeCredentials(command)).await?;
        let Answer::Revoked(revoked) = answer else {
            return Err(Problem::fault(&"a revocation was answered with something else"));
        };
        if silences {
            let computer = |known: &Credential| match &known.issued.holder {
                Holder::Computer(computer) => Some((known.project, computer.clone())),
                Holder::Operator(_) | Holder::Party(_) | Holder::Instance(_) => None,
            };
            let computers = ctx.access().read(|view, _| {
                revoked.iter().filter_map(|id| computer(view.access.credential(*id)?)).collect()
            });
            silence(&ctx, computers).await?;
        }
        Ok(revoked)
    })
    .await
}

/// Closes computers without a valid certificate to new instances, until they have one and are heard of.
async fn silence(ctx: &RequestContext, computers: Vec<(ProjectId, ComputerId)>) -> Result<(), Problem> {
    let now = ctx.now();
    for (project, computer) in computers {
        let holder = Holder::Computer(computer.clone());
        if ctx.access().read(|view, _| view.access.certificates_of(project, &holder, now).next().is_some()) {
            continue;
        }
        let command = Command::NoticeSilence(NoticeSilence { computer, since: Some(now) });
        let content = format!("{command:?}");
        ctx.ledger().submit(ctx.within(project).own(Actor::system(), command, content.as_bytes())).await?;
    }
    Ok(())
}

async fn carry_out_own(ctx: &RequestContext, command: Command) -> Result<Answer, Problem> {
    // What is digested holds no secret, but digests of them.
    let digest = ctx.keys().command_digest(&[format!("{command:?}").as_bytes()]);
    carry_out(ctx, Arc::new(ctx.meta(ctx.caller.actor(), digest)), command).await
}

/// Carries a command about credentials out; when it returns, requests are held against it.
pub async fn carry_out(ctx: &RequestContext, meta: Arc<Meta>, command: Command) -> Result<Answer, Problem> {
    let accepted = ctx.ledger().submit(Submission { meta, command }).await?;
    ctx.access().reach(accepted.sequence).await?;
    Ok(accepted.answer)
}
