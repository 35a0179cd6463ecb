//! SLAP as JSON: `POST /slapos.<verb>.v0.<noun>`, the calls that panels and newer nodes make.
//!
//! The calls, their members and their answers are those of "slapos master api" 0.0.3, which slapos.core 1.26.1 carries.
//! They are the form protocol in other words: the same commands, and the same views. Errors are JSON too, with a
//! status of their own; what does not exist is 403, as it is in the master, and an instance without a partition is an
//! answer (`status` 102) and no error.
//!
//! Not here: what is allowed and what follows from it, which the core decides; and what `slap` says once for both.

mod call;
mod document;
mod guid;
mod instance;
mod node;
mod proxy;
#[cfg(test)]
mod tests;

use slapledger_usecases::policy;

use crate::access::Guarded;
use call::MemberKind::{Filter, Flag, Object, OneOf, Partitions, Text, Title};
use call::{Rule, call, may, must};

const COMPUTER: Rule = must("computer_guid", Text);
const INSTANCE: Rule = must("instance_guid", Text);
const RELEASE: Rule = must("software_release_uri", Text);
const MESSAGE: Rule = must("message", Text);
const TITLE: Rule = must("title", Title);
const STATES: &[&str] = &["started", "stopped", "destroyed"];

/// The routes of all calls, each with the rules of its members.
pub(crate) fn routes() -> Guarded {
    const REQUEST: &[Rule] = &[
        TITLE,
        RELEASE,
        must("software_type", Text),
        may("state", OneOf(STATES)),
        may("parameters", Object),
        may("sla_parameters", Filter),
        may("shared", Flag),
    ];
    const SUPPLY: &[Rule] = &[RELEASE, COMPUTER, may("state", OneOf(&["available", "destroyed"]))];
    const INSTALLED: &[Rule] =
        &[RELEASE, COMPUTER, must("reported_state", OneOf(&["available", "building", "destroyed"]))];
    const REPORTED: &[Rule] = &[INSTANCE, must("reported_state", OneOf(STATES))];
    const CONNECTED: &[Rule] = &[INSTANCE, must("connection_parameter_dict", Object)];
    const FORMAT: &[Rule] = &[COMPUTER, must("compute_partition_list", Partitions)];
    const USAGE: &[Rule] = &[COMPUTER, must("tioxml", Text)];
    const PARTITION: &[Rule] = &[COMPUTER, must("compute_partition_id", Text)];
    Guarded::new(call::refuse)
        // What users ask for.
        .route("/slapos.post.v0.software_instance", &policy::INSTANCE_CLAIM, call(REQUEST, instance::request))
        .route("/slapos.get.v0.instance_tree", &policy::CLIENT, call(&[TITLE], instance::tree))
        .route("/slapos.allDocs.v0.instance_tree_list", &policy::CLIENT, call(&[], instance::trees))
        .route("/slapos.post.v0.software_installation", &policy::COMPUTER_WRITE, call(SUPPLY, node::supply))
        .route("/slapos.get.v0.hateoas_url", &policy::KNOWN, call(&[], node::hateoas_root))
        // What computers say of themselves, ask and report.
        .route("/slapos.put.v0.compute_node_format", &policy::COMPUTER_REPORT, call(FORMAT, node::format))
        .route(
            "/slapos.put.v0.compute_node_bang",
            &policy::COMPUTER_REPORT,
            call(&[COMPUTER, MESSAGE], node::bang),
        )
        .route("/slapos.post.v0.compute_node_usage", &policy::USAGE_REPORT, call(USAGE, node::usage))
        .route("/slapos.get.v0.compute_node_status", &policy::COMPUTER_READ, call(&[COMPUTER], node::status))
        .route(
            "/slapos.post.v0.compute_node_certificate",
            &policy::COMPUTER_CERTIFY,
            call(&[COMPUTER], node::certificate),
        )
        .route(
            "/slapos.remove.v0.compute_node_certificate",
            &policy::COMPUTER_CERTIFY,
            call(&[COMPUTER], node::remove_certificate),
        )
        .route(
            "/slapos.allDocs.v0.compute_node_instance_list",
            &policy::COMPUTER_FETCH,
            call(&[COMPUTER], instance::on_computer),
        )
        .route("/slapos.allDocs.WIP.compute_node_list", &policy::CLIENT, call(&[], node::computers))
        // What they say of software.
        .route(
            "/slapos.allDocs.v0.compute_node_software_installation_list",
            &policy::COMPUTER_READ,
            call(&[COMPUTER], node::installations),
        )
        .route(
            "/slapos.put.v0.software_installation_reported_state",
            &policy::COMPUTER_REPORT,
            call(INSTALLED, node::report),
        )
        .route(
            "/slapos.put.v0.software_installation_error",
            &policy::COMPUTER_REPORT,
            call(&[RELEASE, COMPUTER, MESSAGE], node::error),
        )
        // What they ask and say of instances.
        .route("/slapos.get.v0.software_instance", &policy::INSTANCE_OPEN, call(&[INSTANCE], instance::show))
        .route(
            "/slapos.get.v0.compute_partition",
            &policy::INSTANCE_OPEN,
            call(PARTITION, instance::in_partition),
        )
        .route(
            "/slapos.get.v0.software_instance_certificate",
            &policy::INSTANCE_KEY,
            call(&[INSTANCE], instance::certificate),
        )
        .route(
            "/slapos.allDocs.v0.instance_node_instance_list",
            &policy::INSTANCE_OPEN,
            call(&[INSTANCE], instance::shares),
        )
        .route(
            "/slapos.put.v0.software_instance_reported_state",
            &policy::INSTANCE_REPORT,
            call(REPORTED, instance::report),
        )
        .route(
            "/slapos.put.v0.software_instance_error",
            &policy::INSTANCE_REPORT,
            call(&[INSTANCE, MESSAGE], instance::error),
        )
        .route(
            "/slapos.put.v0.software_instance_bang",
            &policy::INSTANCE_REPORT,
            call(&[INSTANCE, MESSAGE], instance::bang),
        )
        .route(
            "/slapos.put.v0.software_instance_title",
            &policy::INSTANCE_REPORT,
            call(&[INSTANCE, TITLE], instance::rename),
        )
        .route(
            "/slapos.put.v0.software_instance_connection_parameter",
            &policy::INSTANCE_REPORT,
            call(CONNECTED, instance::connect),
        )
}
