use super::*;
use crate::world::certificate;
use crate::world::kubernetes::failure::of_kube;
use crate::world::kubernetes::tests::kit;
use futures::future::{Ready, ready};
use kube::client::Body;
use tokio::net::TcpListener;
use tower::ServiceExt;

/// Resolves every name to these addresses.
#[derive(Clone)]
struct Fixed(Vec<SocketAddr>);

impl Service<Name> for Fixed {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Ready<io::Result<Self::Response>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _name: Name) -> Self::Future {
        ready(Ok(self.0.clone().into_iter()))
    }
}

#[tokio::test]
async fn name_that_resolves_to_an_internal_address_is_not_connected_to() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    let config = Config::new(format!("https://issuer.example.com:{}", address.port()).parse().unwrap());
    let client = resolved_by(&config, PublicAddresses(Fixed(vec![address]))).unwrap();
    let request = http::Request::get("/").body(Body::empty()).unwrap();
    tokio::select! {
        answer = client.send(request) => {
            let failure = of_kube(&answer.unwrap_err());
            assert!(failure.message.contains(INTERNAL), "{}", failure.message);
        }
        _ = server.accept() => panic!("it was connected to"),
    }
}

#[tokio::test]
async fn internal_addresses_are_left_out_of_several() {
    let all = ["10.0.0.1:0", "203.0.113.7:0", "[fe80::1]:0", "169.254.169.254:0"].map(|text| text.parse().unwrap());
    let found = PublicAddresses(Fixed(all.to_vec())).oneshot("issuer.example.com".parse().unwrap()).await.unwrap();
    assert_eq!(found.collect::<Vec<_>>(), [all[1]]);
}

#[tokio::test]
async fn host_is_asked_over_tls_at_the_resolved_address() {
    let cluster = kit::cluster("prod").await;
    let mut config = Config::new(cluster.endpoint().replace("127.0.0.1", "localhost").parse().unwrap());
    config.root_cert = certificate::from_base64(&cluster.certificate_authority_data());
    // without the filter, since the server is on the loopback
    let client = resolved_by(&config, Fixed(vec![([127, 0, 0, 1], 0).into()])).unwrap();
    let get = || {
        let request =
            http::Request::get("/.well-known/openid-configuration").header("authorization", "Bearer admin-token");
        request.body(Body::empty()).unwrap()
    };
    assert_eq!(client.send(get()).await.unwrap().status(), 200);
    assert_eq!(cluster.gate().log()[0].call.path, "/.well-known/openid-configuration");
    // another authority
    config.root_cert = certificate::from_base64(&kit::cluster("other").await.certificate_authority_data());
    let client = resolved_by(&config, Fixed(vec![([127, 0, 0, 1], 0).into()])).unwrap();
    assert!(of_kube(&client.send(get()).await.unwrap_err()).message.contains("invalid peer certificate"));
}
