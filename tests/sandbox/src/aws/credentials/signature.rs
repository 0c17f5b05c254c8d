//! Verifies EKS bearer tokens: a presigned GetCallerIdentity URL in base64 after `k8s-aws-v1.`.
//!
//! Only the header `x-k8s-aws-id` names the cluster that a token is for, and its value is part of the signature but not
//! of the URL. EKS therefore verifies the signature with its own cluster name, and so does the sandbox: a token for
//! another cluster fails. The rules are those of aws-iam-authenticator
//! (<https://github.com/kubernetes-sigs/aws-iam-authenticator#api-authorization-from-outside-a-cluster>).

use super::{Caller, Signed, hexadecimal};
use crate::aws::Aws;
use crate::aws::query::Params;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

const PREFIX: &str = "k8s-aws-v1.";

/// How many seconds a token is valid, regardless of the expiry in its URL.
const LIFETIME: i64 = 15 * 60;

const STRICT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut block = [0_u8; 64];
    if key.len() > block.len() {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let pad = |with: u8| block.map(|byte| byte ^ with);
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().into()
}

/// The parts of a presigned URL.
struct Presigned {
    host: String,
    path: String,
    query: Vec<(String, String)>,
    signed: Signed,
    params: Params,
}

impl Presigned {
    fn read(url: &str) -> Option<Self> {
        let (_, rest) = url.split_once("://")?;
        let (place, query) = rest.split_once('?')?;
        let (host, path) = place.split_once('/').unwrap_or((place, ""));
        let params = Params::parse(query.as_bytes());
        Some(Self {
            host: host.to_owned(),
            path: format!("/{path}"),
            query: form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
            signed: Signed::read(&http::HeaderMap::new(), &params).ok()??,
            params,
        })
    }

    fn time(&self) -> Option<Timestamp> {
        let time = DateTime::strptime("%Y%m%dT%H%M%SZ", self.params.text("X-Amz-Date")?).ok()?;
        TimeZone::UTC.to_timestamp(time).ok()
    }

    fn canonical(&self, cluster: &str) -> String {
        let encode = |text: &str| utf8_percent_encode(text, STRICT).to_string();
        let query = self.query.iter().filter(|(key, _)| key != "X-Amz-Signature");
        let mut query: Vec<_> = query.map(|(key, value)| format!("{}={}", encode(key), encode(value))).collect();
        query.sort_unstable();
        format!(
            "GET\n{}\n{}\nhost:{}\nx-k8s-aws-id:{cluster}\n\nhost;x-k8s-aws-id\n{}",
            self.path,
            query.join("&"),
            self.host,
            hexadecimal(&Sha256::digest(b""))
        )
    }

    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>
    fn signature(&self, cluster: &str, secret: &str) -> String {
        let Signed { date, region, service, .. } = &self.signed;
        let time = self.params.text("X-Amz-Date").unwrap_or_default();
        let hash = hexadecimal(&Sha256::digest(self.canonical(cluster)));
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{date}/{region}/{service}/aws4_request\n{hash}");
        let key = [region.as_str(), service, "aws4_request"]
            .iter()
            .fold(hmac(format!("AWS4{secret}").as_bytes(), date.as_bytes()), |key, part| hmac(&key, part.as_bytes()));
        hexadecimal(&hmac(&key, text.as_bytes()))
    }
}

impl Aws {
    /// The caller that a token for this cluster identifies. None if the token is not valid there.
    pub(crate) fn token_holder(&self, token: &str, cluster: &str) -> Option<Caller> {
        let encoded = token.strip_prefix(PREFIX)?;
        let url = String::from_utf8(URL_SAFE_NO_PAD.decode(encoded.trim_end_matches('=')).ok()?).ok()?;
        let presigned = Presigned::read(&url)?;
        let params = &presigned.params;
        let right = params.text("Action") == Some("GetCallerIdentity")
            && params.text("X-Amz-SignedHeaders") == Some("host;x-k8s-aws-id")
            && presigned.signed.service == "sts";
        let expires: i64 = params.text("X-Amz-Expires")?.parse().ok()?;
        let age = (self.clock)().as_second() - presigned.time()?.as_second();
        if !right || !(0..=LIFETIME).contains(&expires) || !(-LIFETIME..=LIFETIME).contains(&age) {
            return None;
        }
        let holder = self.holder(&presigned.signed.key, presigned.signed.token.as_deref()).ok()?;
        let signature = presigned.signature(cluster, &holder.secret);
        (params.text("X-Amz-Signature") == Some(&signature)).then_some(holder.caller)
    }
}

/// Creates a token as `aws eks get-token` does, for tests.
#[cfg(test)]
pub(crate) fn token(key: &str, secret: &str, session: Option<&str>, cluster: &str, time: Timestamp) -> String {
    let time = time.strftime("%Y%m%dT%H%M%SZ").to_string();
    let scope = format!("{key}/{}/eu-west-1/sts/aws4_request", &time[..8]);
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("Action", "GetCallerIdentity").append_pair("Version", "2011-06-15");
    query.append_pair("X-Amz-Algorithm", "AWS4-HMAC-SHA256").append_pair("X-Amz-Credential", &scope);
    query.append_pair("X-Amz-Date", &time).append_pair("X-Amz-Expires", "60");
    query.append_pair("X-Amz-SignedHeaders", "host;x-k8s-aws-id");
    query.extend_pairs(session.map(|token| ("X-Amz-Security-Token", token)));
    let url = format!("https://sts.eu-west-1.amazonaws.com/?{}", query.finish());
    let signature = Presigned::read(&url).map(|presigned| presigned.signature(cluster, secret)).unwrap_or_default();
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(format!("{url}&X-Amz-Signature={signature}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Test cases 2 and 6 of RFC 4231.
    #[test]
    fn hmac_matches_rfc_4231() {
        let mac = hmac(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(hexadecimal(&mac), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        let long = hmac(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First");
        assert_eq!(hexadecimal(&long), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    }
}
