//! Extractors and responses for axum.

use std::fmt;

use axum_core::extract::{FromRef, FromRequest, Request};
use axum_core::response::{IntoResponse, Response};
use bytes::Bytes;
use http::HeaderMap;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::delivery::{Delivery, VerifiedBody};
use super::error::Error;
use super::replay::{Once, OnceError};
use super::signature::{count, header_values};
use super::verifier::Verifier;

impl<S> FromRequest<S> for Delivery
where
    Verifier: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        let verifier = Verifier::from_ref(state);
        let (headers, body) = read(request, verifier.body_limit()).await?;
        verifier.unwrap(&body, &headers).map(Self)
    }
}

impl<S> FromRequest<S> for VerifiedBody
where
    Verifier: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        let verifier = Verifier::from_ref(state);
        let (headers, body) = read(request, verifier.body_limit()).await?;
        verifier.verify_headers(&body, &headers).map(|()| Self(body))
    }
}

async fn read(request: Request, limit: usize) -> Result<(HeaderMap, Bytes), Error> {
    let (head, body) = request.into_parts();
    // Before the body is read.
    count(header_values(&head.headers))?;
    let body = Limited::new(body, limit).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() { Error::BodyTooLarge { limit } } else { Error::IncompleteBody(error) }
    })?;
    Ok((head.headers, body.to_bytes()))
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        self.log();
        (self.status(), self.public_message()).into_response()
    }
}

impl<T> IntoResponse for Once<T> {
    fn into_response(self) -> Response {
        self.status().into_response()
    }
}

impl<E: fmt::Display> IntoResponse for OnceError<E> {
    fn into_response(self) -> Response {
        self.log();
        self.status().into_response()
    }
}
