//! Tests of hateoas.
