//! The program as the sender of a request may see it.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::caller::Caller;
use super::claim::Claimed;
use crate::app::App;
use crate::http::problem::Problem;

/// The program, within the project of the caller and with what they may open.
pub struct Here(pub Arc<App>);

impl FromRequestParts<Arc<App>> for Here {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        match parts.extensions.get::<Caller>() {
            Some(caller) => {
                let app = Arc::new(app.seen_by(caller));
                if let Some(claimed) = Claimed::of(&parts.headers)? {
                    claimed.check(&app).await?;
                }
                Ok(Self(app))
            }
            None if app.doors.is_none() => Ok(Self(Arc::clone(app))),
            // Nobody gets in by a door that is not kept.
            None => Err(Problem::fault(&"a route without a rule was asked for")),
        }
    }
}
