//! Descriptions of the routes of checkpoints and proofs.

use super::{CheckpointShown, ConsistencyShown, InclusionShown, LogKeysShown, PublishedCheckpointShown};
use crate::rest::openapi::operation::Operation;
use crate::rest::openapi::schema;

pub(crate) fn checkpoint(operation: Operation) -> Operation {
    operation
        .called("showCheckpoint", "log", "A signed checkpoint of the log")
        .description(
            "Keep it: a later consistency proof from its size shows that nothing before it was changed. The note is \
             signed with Ed25519 (C2SP tlog-checkpoint).",
        )
        .query::<bool>("cosigned", "The newest that a witness cosigned")
        .reads::<CheckpointShown>("The checkpoint")
        .only_now()
        .problem(404)
}

pub(crate) fn published(operation: Operation) -> Operation {
    operation
        .called("listCheckpoints", "log", "The checkpoints that were published, the newest first")
        .description("Published when an epoch is sealed and at an interval, and cosigned by witnesses.")
        .lists::<PublishedCheckpointShown>("A part of the list")
        .only_now()
}

pub(crate) fn checkpoint_note(operation: Operation) -> Operation {
    operation
        .called("downloadCheckpoint", "log", "Download the signed note of a checkpoint")
        .description("The note alone, as C2SP tlog-tiles has it.")
        .answers::<schema::Text>(200, "The note")
        .or_text(200)
        .problem(404)
}

pub(crate) fn keys(operation: Operation) -> Operation {
    operation
        .called("listLogKeys", "log", "The keys that have signed checkpoints")
        .description("A signature is believed from the event on that made its key the key of the log.")
        .reads::<LogKeysShown>("The keys, the present one last")
        .only_now()
}

pub(crate) fn inclusion(operation: Operation) -> Operation {
    operation
        .called("proveInclusion", "log", "Prove that an event is in the log")
        .description("Leaf n of the tree is the event of sequence n + 1.")
        .required_query::<schema::Sequence>("sequence", "The event")
        .query::<schema::Sequence>(
            "size",
            "How many events the log has to which it is proved; all, if it is not said",
        )
        .reads::<InclusionShown>("The proof (RFC 9162, 2.1.3)")
        .only_now()
}

pub(crate) fn consistency(operation: Operation) -> Operation {
    operation
        .called("proveConsistency", "log", "Prove that the log continues what it was")
        .description("`from` is the size in a checkpoint that the reader has kept.")
        .required_query::<schema::Sequence>("from", "How many events the earlier log has")
        .query::<schema::Sequence>("to", "How many events the later log has; all, if it is not said")
        .reads::<ConsistencyShown>("The proof (RFC 9162, 2.1.4)")
        .only_now()
}

pub(crate) fn tile(operation: Operation) -> Operation {
    operation
        .called("downloadTile", "log", "Download hashes of the tree")
        .description("A tile as C2SP tlog-tiles has it. A whole tile never changes.")
        .path::<schema::Text>("path", "Level and number of the tile, as in 0/x001/234 or 1/000.p/17")
        .answers_bytes(200, "The hashes, 32 bytes each")
}

pub(crate) fn entries(operation: Operation) -> Operation {
    operation
        .called("downloadEntries", "log", "Download events of all projects as they are stored")
        .description("An entry bundle as C2SP tlog-tiles has it, for those who may read all projects.")
        .path::<schema::Text>("path", "The number of the tile, as in x001/234 or 000.p/17")
        .answers_bytes(200, "The events, each after its length in two bytes")
}
