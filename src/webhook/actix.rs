//! Extractors and responses for actix-web.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use actix_web::body::BoxBody;
use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderValue;
use actix_web::{FromRequest, HttpRequest, HttpResponse, Responder, ResponseError, web};
use bytes::Bytes;

use super::delivery::{Delivery, VerifiedBody};
use super::error::Error;
use super::replay::{Once, OnceError};
use super::signature::{SIGNATURE_HEADER, count};
use super::verifier::Verifier;

type ExtractorFuture<T> = Pin<Box<dyn Future<Output = Result<T, Error>>>>;

impl FromRequest for Delivery {
    type Error = Error;
    type Future = ExtractorFuture<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let read = read(request, payload);
        Box::pin(async move {
            let (verifier, signatures, body) = read.await?;
            verifier.unwrap_any(&body, &signatures).map(Self)
        })
    }
}

impl FromRequest for VerifiedBody {
    type Error = Error;
    type Future = ExtractorFuture<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let read = read(request, payload);
        Box::pin(async move {
            let (verifier, signatures, body) = read.await?;
            verifier.verify_any(&body, &signatures).map(|()| Self(body))
        })
    }
}

fn read(
    request: &HttpRequest,
    payload: &mut Payload,
) -> impl Future<Output = Result<(Verifier, Vec<HeaderValue>, Bytes), Error>> + use<> {
    let verifier = verifier(request);
    // Cloned, because the future outlives the request.
    let signatures: Vec<_> = request.headers().get_all(SIGNATURE_HEADER).cloned().collect();
    let payload = web::Payload::from_request(request, payload);
    async move {
        let verifier = verifier?;
        let limit = verifier.body_limit();
        // Before the body is read.
        count(signatures.iter().map(HeaderValue::as_bytes))?;
        let payload = payload.await.map_err(incomplete)?;
        let body = payload.to_bytes_limited(limit).await.map_err(|_| Error::BodyTooLarge { limit })?;
        Ok((verifier, signatures, body.map_err(incomplete)?))
    }
}

fn verifier(request: &HttpRequest) -> Result<Verifier, Error> {
    let own = request.app_data::<Verifier>();
    let shared = || request.app_data::<web::Data<Verifier>>().map(|data| &***data);
    own.or_else(shared).cloned().ok_or(Error::NoVerifier)
}

/// Takes the text of the error, because an error of actix-web is not `Send`.
fn incomplete(error: impl std::fmt::Display) -> Error {
    Error::IncompleteBody(error.to_string().into())
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        status_code(self.status())
    }

    fn error_response(&self) -> HttpResponse {
        self.log();
        HttpResponse::build(self.status_code()).body(self.public_message())
    }
}

impl<T> Responder for Once<T> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::new(status_code(self.status()))
    }
}

impl<E: fmt::Debug + fmt::Display> ResponseError for OnceError<E> {
    fn status_code(&self) -> StatusCode {
        status_code(self.status())
    }

    fn error_response(&self) -> HttpResponse {
        self.log();
        HttpResponse::new(self.status_code())
    }
}

/// Converts a status to the version of the `http` crate that actix-web uses.
fn status_code(status: http::StatusCode) -> StatusCode {
    StatusCode::from_u16(status.as_u16()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
