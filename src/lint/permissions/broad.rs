//! Rules on permissions that are broad: everything, all but something, every action of a service, all data.

use super::{Allowing, PermissionsContext, kind, reaches_all, reaches_every};
use crate::lint::document::Name;
use crate::lint::{Found, shortened};
use crate::model::note::Severity;
use crate::policy::canonical::Choice;
use crate::policy::pattern_cover::{covers, meets, together_cover};

/// Whether they are every action on every resource, under conditions or not.
pub(super) fn is_everything(allowing: &[Allowing<'_>]) -> bool {
    let wide: Vec<&Allowing<'_>> = allowing.iter().filter(|allowing| reaches_all(allowing.body)).collect();
    !wide.is_empty() && all_actions(&wide)
}

/// IRSA030: over all statements together.
pub(in crate::lint) fn everything(context: &PermissionsContext<'_>) -> Vec<Found> {
    let wide: Vec<&Allowing<'_>> = context.allowing.iter().filter(|allowing| reaches_all(allowing.body)).collect();
    let (free, limited): (Vec<&Allowing<'_>>, Vec<_>) = wide.iter().partition(|allowing| !allowing.limited);
    let text = |statements: &[&Allowing<'_>]| {
        let alone = statements.iter().find(|allowing| allowing.every_action());
        match alone {
            Some(Allowing { name, .. }) => format!("{name} allows every action on every resource"),
            None => format!("{} together allow every action on every resource", names(statements)),
        }
    };
    if all_actions(&free) {
        vec![Found::new(text(&free))]
    } else if all_actions(&wide) {
        let whose = if limited.iter().any(|allowing| allowing.every_action()) { &limited } else { &wide };
        vec![Found::new(format!("{}, under a condition", text(whose))).but(Severity::High)]
    } else {
        Vec::new()
    }
}

fn names(statements: &[&Allowing<'_>]) -> String {
    let name = |allowing: &&Allowing<'_>| match allowing.name {
        Name::Sid(sid) => format!("`{sid}`"),
        Name::Place(place) => place.to_string(),
    };
    format!("statements {}", statements.iter().map(name).collect::<Vec<_>>().join(" and "))
}

/// More combinations of exclusions than an honest policy has.
const LIMIT: usize = 10_000;

/// Whether there is no action that all of them leave out.
fn all_actions(statements: &[&Allowing<'_>]) -> bool {
    let patterns: Vec<&String> = statements.iter().flat_map(|allowing| allowing.patterns()).collect();
    let mut left = vec![vec!["?*:?*"]];
    for allowing in statements {
        let Choice::AllBut(excluded) = &allowing.body.actions else { continue };
        // what was left out so far and is left out here, too
        let both = left.iter().flat_map(|so_far| {
            let meeting = excluded.iter().filter(|item| so_far.iter().all(|known| meets(known, item)));
            meeting.map(|item| so_far.iter().copied().chain([item.as_str()]).collect::<Vec<_>>())
        });
        left = both.take(LIMIT).collect();
        if left.len() == LIMIT {
            return false;
        }
    }
    left.iter().all(|items| items.iter().any(|item| together_cover(&patterns, item)))
}

/// IRSA034
pub(in crate::lint) fn all_but(context: &PermissionsContext<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for Allowing { name, body, .. } in context.narrower() {
        if let Choice::AllBut(excluded) = &body.actions
            && !excluded.iter().any(|pattern| covers(pattern, "?*:?*"))
        {
            let text = format!("{name} allows all but some actions (`NotAction`), new ones too");
            let severity = if reaches_all(body) { Severity::High } else { Severity::Medium };
            found.push(Found::new(text).but(severity));
        }
        if matches!(body.resources, Some(Choice::AllBut(_))) && reaches_all(body) {
            let text = format!("{name} allows all but some resources (`NotResource`), new ones too");
            found.push(Found::new(text).but(Severity::Medium));
        }
    }
    found
}

/// IRSA035
pub(in crate::lint) fn read_all(context: &PermissionsContext<'_>) -> Vec<Found> {
    const READS: [&str; 12] = [
        "s3:GetObject",
        "s3:GetObjectVersion",
        "secretsmanager:GetSecretValue",
        "ssm:GetParameter",
        "ssm:GetParameters",
        "ssm:GetParametersByPath",
        "ssm:GetParameterHistory",
        "kms:Decrypt",
        "dynamodb:GetItem",
        "dynamodb:BatchGetItem",
        "dynamodb:Query",
        "dynamodb:Scan",
    ];
    everywhere(context, &READS, |list| format!("{list} on every resource"))
}

/// Those of the actions that a statement allows everywhere, without a limit; one finding for each statement.
fn everywhere(context: &PermissionsContext<'_>, actions: &[&str], text: impl Fn(&str) -> String) -> Vec<Found> {
    let free = context.narrower().filter(|allowing| !allowing.limited && !allowing.actions.is_empty());
    free.filter_map(|allowing| {
        let open = actions.iter().filter(|action| allowing.allows_everywhere(action));
        let open: Vec<String> = open.map(|action| format!("`{action}`")).collect();
        (!open.is_empty()).then(|| Found::new(format!("{} allows {}", allowing.name, text(&shortened(open, ", ")))))
    })
    .collect()
}

/// IRSA037: the actions that let others in at a resource's own policy
/// (<https://github.com/salesforce/endgame>, <https://github.com/salesforce/cloudsplaining>).
pub(in crate::lint) fn handed_on(context: &PermissionsContext<'_>) -> Vec<Found> {
    const GRAVE: [&str; 7] = [
        "kms:CreateGrant",
        "kms:PutKeyPolicy",
        "ram:CreateResourceShare",
        "s3:PutAccessPointPolicy",
        "s3:PutBucketAcl",
        "s3:PutBucketPolicy",
        "secretsmanager:PutResourcePolicy",
    ];
    const OTHERS: [&str; 12] = [
        "backup:PutBackupVaultAccessPolicy",
        "ec2:ModifyImageAttribute",
        "ec2:ModifySnapshotAttribute",
        "ecr:SetRepositoryPolicy",
        "lambda:AddPermission",
        "rds:ModifyDBClusterSnapshotAttribute",
        "rds:ModifyDBSnapshotAttribute",
        "sns:AddPermission",
        "sns:SetTopicAttributes",
        "sqs:AddPermission",
        "sqs:SetQueueAttributes",
        "ssm:ModifyDocumentPermission",
    ];
    let text = |list: &str| format!("{list} on every resource: its holder may let in other accounts");
    // who is given a whole service is found by IRSA036 as well: what is meant there is the service
    let (whole, named): (Vec<&str>, Vec<&str>) =
        GRAVE.iter().partition(|action| is_of_a_whole_service(context, action));
    let grave = everywhere(context, &named, text);
    let others: Vec<&str> = whole.into_iter().chain(OTHERS).collect();
    let others = everywhere(context, &others, text).into_iter().map(|found| found.but(Severity::Medium));
    grave.into_iter().chain(others).collect()
}

/// Whether the action is allowed by nothing but patterns for the whole of its service.
fn is_of_a_whole_service(context: &PermissionsContext<'_>, action: &str) -> bool {
    let action = action.to_lowercase();
    let service = action.split_once(':').map_or("*", |(service, _)| service);
    let patterns: Vec<&String> =
        context.narrower().flat_map(Allowing::patterns).filter(|it| covers(it, &action)).collect();
    !patterns.is_empty() && patterns.iter().all(|pattern| covers(pattern, &format!("{service}:*")))
}

/// The services that hold data, run code or rule access; of the others every action is less.
const WEIGHTY: [&str; 62] = [
    "account",
    "acm-pca",
    "apprunner",
    "athena",
    "autoscaling",
    "backup",
    "batch",
    "bedrock",
    "cloudformation",
    "cloudtrail",
    "codebuild",
    "codecommit",
    "codedeploy",
    "codepipeline",
    "cognito-identity",
    "cognito-idp",
    "config",
    "dms",
    "docdb-elastic",
    "ds",
    "dsql",
    "dynamodb",
    "ebs",
    "ec2",
    "ecr",
    "ecs",
    "eks",
    "elasticache",
    "elasticfilesystem",
    "elasticmapreduce",
    "es",
    "events",
    "firehose",
    "fsx",
    "glacier",
    "glue",
    "guardduty",
    "iam",
    "identitystore",
    "kafka",
    "kinesis",
    "kms",
    "lambda",
    "lightsail",
    "logs",
    "memorydb",
    "organizations",
    "ram",
    "rds",
    "rds-data",
    "redshift",
    "redshift-data",
    "route53",
    "s3",
    "sagemaker",
    "secretsmanager",
    "securityhub",
    "sns",
    "sqs",
    "ssm",
    "sso",
    "sts",
];

/// IRSA036
pub(in crate::lint) fn service(context: &PermissionsContext<'_>) -> Vec<Found> {
    let mut found = Vec::new();
    for allowing in context.narrower().filter(|allowing| !allowing.limited) {
        let mut services = Vec::new();
        for pattern in allowing.patterns() {
            let Some((service, name)) = pattern.split_once(':') else { continue };
            if covers(name, "?*") && reaches_every(allowing.body, kind(service, "?*")) {
                services.push(service);
            }
        }
        let weighty = services.iter().any(|service| WEIGHTY.contains(service));
        let severity = if weighty { Severity::Medium } else { Severity::Low };
        if !services.is_empty() {
            let list: Vec<String> = services.iter().map(|service| format!("`{service}:*`")).collect();
            let text = format!("{} allows {} on every resource", allowing.name, shortened(list, ", "));
            found.push(Found::new(text).but(severity));
        }
    }
    found
}
