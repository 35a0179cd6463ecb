//! What the sender of accepted usage is told: that no price book declares its resource, so that nobody is charged for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use slapledger_core::domain::usage::UsageReport;
use slapledger_usecases::context::RequestContext;
use slapledger_usecases::node::{notice_of, undeclared};

/// The notices of the reports of a body.
pub(super) struct Notices {
    /// The resource of each report, by its number among `resources`.
    of_reports: Vec<Option<usize>>,
    resources: Vec<Arc<str>>,
}

impl Notices {
    /// Looks up the resources of reports.
    pub(super) fn of(ctx: &RequestContext, reports: &[UsageReport]) -> Self {
        let undeclared = undeclared(ctx, reports);
        let numbers: BTreeMap<&str, usize> =
            undeclared.iter().enumerate().map(|(number, resource)| (&**resource, number)).collect();
        let of_reports = if numbers.is_empty() {
            Vec::new()
        } else {
            reports.iter().map(|report| numbers.get(&*report.resource).copied()).collect()
        };
        drop(numbers);
        Self { of_reports, resources: undeclared.into_iter().collect() }
    }

    /// The notice of a report, if there is one.
    pub(super) fn of_report(&self, nth: usize) -> Option<String> {
        let number = self.of_reports.get(nth).copied().flatten()?;
        self.resources.get(number).map(|resource| notice_of(resource))
    }
}
