//! AWS managed policies: those that Kubernetes workloads commonly use, with shortened documents.
//!
//! What each policy allows or denies is taken from AWS
//! (<https://docs.aws.amazon.com/aws-managed-policy/latest/reference/policy-list.html>), but conditions and rare
//! actions are left out. Each policy has one version.

use super::document::AcceptedPolicy;
use crate::aws::query::Xml;
use serde_json::json;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// An AWS managed policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AwsPolicy {
    pub(super) name: String,
    pub(super) path: String,
    pub(super) id: String,
    pub(super) version: String,
    pub(super) created: String,
    pub(super) updated: String,
    document: AcceptedPolicy,
}

/// The path, the name, and the actions that the policy allows on every resource.
type Row = (&'static str, &'static str, &'static [&'static str]);

const TABLE: &[Row] = &[
    ("/", "AWSXRayDaemonWriteAccess", &["xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSampling*"]),
    ("/", "AWSXrayWriteOnlyAccess", &["xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSampling*"]),
    ("/", "AdministratorAccess", &["*"]),
    ("/", "AmazonDynamoDBFullAccess", &["dynamodb:*", "dax:*"]),
    (
        "/",
        "AmazonDynamoDBReadOnlyAccess",
        &[
            "dynamodb:BatchGetItem",
            "dynamodb:Describe*",
            "dynamodb:GetItem",
            "dynamodb:List*",
            "dynamodb:Query",
            "dynamodb:Scan",
        ],
    ),
    (
        "/",
        "AmazonEC2ContainerRegistryReadOnly",
        &[
            "ecr:GetAuthorizationToken",
            "ecr:BatchCheckLayerAvailability",
            "ecr:GetDownloadUrlForLayer",
            "ecr:BatchGetImage",
            "ecr:Describe*",
            "ecr:List*",
        ],
    ),
    ("/", "AmazonEC2ReadOnlyAccess", &["ec2:Describe*", "elasticloadbalancing:Describe*", "autoscaling:Describe*"]),
    ("/", "AmazonEKSClusterPolicy", &["autoscaling:Describe*", "ec2:Describe*", "elasticloadbalancing:*"]),
    ("/", "AmazonEKSWorkerNodePolicy", &["ec2:Describe*", "eks:DescribeCluster"]),
    (
        "/",
        "AmazonEKS_CNI_Policy",
        &[
            "ec2:AssignPrivateIpAddresses",
            "ec2:AttachNetworkInterface",
            "ec2:CreateNetworkInterface",
            "ec2:DeleteNetworkInterface",
            "ec2:Describe*",
            "ec2:DetachNetworkInterface",
            "ec2:ModifyNetworkInterfaceAttribute",
            "ec2:UnassignPrivateIpAddresses",
        ],
    ),
    ("/", "AmazonPrometheusRemoteWriteAccess", &["aps:RemoteWrite"]),
    ("/", "AmazonRoute53ReadOnlyAccess", &["route53:Get*", "route53:List*"]),
    ("/", "AmazonS3FullAccess", &["s3:*", "s3-object-lambda:*"]),
    ("/", "AmazonS3ReadOnlyAccess", &["s3:Get*", "s3:List*", "s3:Describe*"]),
    ("/", "AmazonSNSReadOnlyAccess", &["sns:GetTopicAttributes", "sns:List*"]),
    ("/", "AmazonSQSFullAccess", &["sqs:*"]),
    ("/", "AmazonSQSReadOnlyAccess", &["sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:List*"]),
    ("/", "AmazonSSMReadOnlyAccess", &["ssm:Describe*", "ssm:Get*", "ssm:List*"]),
    (
        "/",
        "CloudWatchAgentServerPolicy",
        &[
            "cloudwatch:PutMetricData",
            "ec2:DescribeTags",
            "ec2:DescribeVolumes",
            "logs:CreateLogGroup",
            "logs:CreateLogStream",
            "logs:DescribeLog*",
            "logs:PutLogEvents",
            "xray:Put*",
        ],
    ),
    ("/", "CloudWatchReadOnlyAccess", &["cloudwatch:Describe*", "cloudwatch:Get*", "cloudwatch:List*", "logs:Get*"]),
    ("/", "IAMFullAccess", &["iam:*"]),
    ("/", "IAMReadOnlyAccess", &["iam:Get*", "iam:List*"]),
    ("/", "PowerUserAccess", &["ec2:*", "s3:*", "sqs:*", "sns:*", "dynamodb:*", "eks:*"]),
    ("/", "ReadOnlyAccess", &["ec2:Describe*", "eks:Describe*", "iam:Get*", "s3:Get*", "s3:List*", "sqs:List*"]),
    ("/", "SecretsManagerReadWrite", &["secretsmanager:*", "kms:ListKeys", "kms:DescribeKey"]),
    ("/", "SecurityAudit", &["iam:Get*", "iam:List*", "s3:GetBucket*", "ec2:Describe*"]),
    ("/aws-service-role/", "AmazonEKSServiceRolePolicy", &["ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface"]),
    ("/job-function/", "ViewOnlyAccess", &["ec2:Describe*", "iam:List*", "s3:ListAllMyBuckets"]),
    (
        "/service-role/",
        "AWSLambdaBasicExecutionRole",
        &["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"],
    ),
    ("/service-role/", "AWSLambdaRole", &["lambda:InvokeFunction"]),
    (
        "/service-role/",
        "AmazonEBSCSIDriverPolicy",
        &[
            "ec2:AttachVolume",
            "ec2:CreateSnapshot",
            "ec2:CreateTags",
            "ec2:CreateVolume",
            "ec2:DeleteSnapshot",
            "ec2:DeleteVolume",
            "ec2:Describe*",
            "ec2:DetachVolume",
            "ec2:ModifyVolume",
        ],
    ),
    (
        "/service-role/",
        "AmazonEFSCSIDriverPolicy",
        &[
            "ec2:DescribeAvailabilityZones",
            "elasticfilesystem:CreateAccessPoint",
            "elasticfilesystem:DeleteAccessPoint",
            "elasticfilesystem:Describe*",
            "elasticfilesystem:TagResource",
        ],
    ),
];

/// The paths and names of these policies, and the actions that they deny on every resource.
const DENIES: &[Row] = &[
    (
        "/",
        "AWSCompromisedKeyQuarantineV3",
        &[
            "ec2:RunInstances",
            "ec2:StartInstances",
            "iam:AttachRolePolicy",
            "iam:CreateAccessKey",
            "iam:CreateRole",
            "iam:CreateUser",
            "iam:PassRole",
            "iam:PutRolePolicy",
            "iam:UpdateAssumeRolePolicy",
            "lambda:CreateFunction",
            "s3:DeleteBucket",
            "s3:DeleteObject",
            "s3:GetObject",
            "s3:ListBucket",
        ],
    ),
    ("/", "AWSDenyAll", &["*"]),
];

/// The creation date of all AWS managed policies here.
const CREATED: &str = "2015-02-06T18:40:58Z";

/// All policies, by path and name.
pub(super) static POLICIES: LazyLock<BTreeMap<String, AwsPolicy>> = LazyLock::new(|| {
    let rows = TABLE.iter().map(|row| ("Allow", row)).chain(DENIES.iter().map(|row| ("Deny", row)));
    let policies = rows.enumerate().map(|(number, (effect, row))| AwsPolicy::of(number, effect, row));
    policies.map(|policy| (format!("{}{}", policy.path, policy.name), policy)).collect()
});

impl AwsPolicy {
    fn of(number: usize, effect: &str, (path, name, actions): &Row) -> Self {
        let statement = json!({"Effect": effect, "Action": actions, "Resource": "*"});
        let document = json!({"Version": "2012-10-17", "Statement": [statement]});
        Self {
            name: (*name).to_owned(),
            path: (*path).to_owned(),
            id: format!("ANPAAWSMANAGED{number:07}"),
            version: "v1".to_owned(),
            created: CREATED.to_owned(),
            updated: CREATED.to_owned(),
            document: AcceptedPolicy::of(&document.to_string()),
        }
    }

    /// Finds a policy by path and name, for example `/service-role/AWSLambdaRole`.
    pub(super) fn find(resource: &str) -> Option<&'static Self> {
        POLICIES.get(resource)
    }

    pub(super) fn arn(&self, partition: &str) -> String {
        format!("arn:{partition}:iam::aws:policy{}{}", self.path, self.name)
    }

    /// Whether the policy can be attached. Policies for service-linked roles cannot be attached to other roles.
    pub(super) fn attachable(&self) -> bool {
        !self.path.starts_with("/aws-service-role/")
    }

    /// Writes the version, as GetPolicyVersion and, without the document, ListPolicyVersions return it.
    pub(super) fn write_version(&self, xml: &mut Xml, document: Option<&str>) {
        xml.optional("Document", document)
            .element("VersionId", &self.version)
            .element("IsDefaultVersion", "true")
            .element("CreateDate", &self.updated);
    }

    /// Writes all versions, of which there is one.
    pub(super) fn write_versions(&self, xml: &mut Xml, partition: &str) {
        xml.members("PolicyVersionList", [self], |xml, policy| {
            policy.write_version(xml, Some(&policy.encoded(partition)));
        });
    }

    /// The document. Its ARNs use the caller's partition.
    pub(super) fn text(&self, partition: &str) -> String {
        self.document.text.replace("arn:aws:", &format!("arn:{partition}:"))
    }

    /// The document, URL-encoded as in responses. Its ARNs use the caller's partition.
    pub(super) fn encoded(&self, partition: &str) -> Cow<'_, str> {
        if partition == "aws" {
            return Cow::Borrowed(&self.document.encoded);
        }
        Cow::Owned(self.document.encoded.replace("arn%3Aaws%3A", &format!("arn%3A{partition}%3A")))
    }
}
