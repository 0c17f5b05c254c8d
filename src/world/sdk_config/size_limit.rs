//! An HTTP client for the AWS SDK that limits the size of answers. The SDK keeps a whole answer in memory, so an
//! endless answer would use it up.

use crate::world::bounds::MAX_BODY;
use aws_sdk_iam::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use http_body_util::Limited;

#[derive(Debug)]
pub(super) struct SizeLimited(pub(super) SharedHttpClient);

#[derive(Debug)]
struct Connector(SharedHttpConnector);

impl HttpClient for SizeLimited {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(Connector(self.0.http_connector(settings, components)))
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let sent = self.0.call(request);
        HttpConnectorFuture::new(async move {
            let answer = sent.await?;
            Ok(answer.map(|body| SdkBody::from_body_1_x(Limited::new(body, MAX_BODY))))
        })
    }
}
