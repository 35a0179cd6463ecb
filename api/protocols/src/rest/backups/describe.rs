//! What is said of the routes of backups.

use super::PlanForm;
use crate::rest::openapi::operation::Operation;
use crate::rest::openapi::schema;

pub(crate) fn plan(operation: Operation) -> Operation {
    operation
        .called("planBackup", "log", "List the files of the log up to the last durable event")
        .description(
            "`slapledger backup DEST --url URL` downloads them. Sealed epochs never change; a tail is its first `bytes`.",
        )
        .reads::<PlanForm>("The files")
        .only_now()
        .only_json()
}

pub(crate) fn file(operation: Operation) -> Operation {
    operation
        .called("downloadBackupFile", "log", "Download a file of the log")
        .description(
            "A tail may be sealed while it is downloaded. Verify what came against the root of the plan, and plan again \
             if it differs.",
        )
        .path::<schema::Name>("name", "Its name in the plan")
        .query::<schema::Sequence>("bytes", "How many bytes of it; all of them, if it is not said")
        .answers_bytes(200, "Its bytes")
}
