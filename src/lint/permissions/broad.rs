//! Rules on broad permissions: everything, everything with exceptions, all data, whole services, access for other
//! accounts.

use super::{
    AllowStatement, Choice, Finding, PermissionsContext, ResourceType, Severity, StatementName, covers, covers_every,
    covers_everything, has_word, overlap, quoted, shortened,
};
use crate::policy::pattern::together_cover;

/// Whether the statements together allow every action on every resource, with or without conditions.
pub(super) fn allows_everything(allows: &[AllowStatement<'_>]) -> bool {
    let wide: Vec<&AllowStatement<'_>> = allows.iter().filter(|allow| covers_everything(allow.statement)).collect();
    !wide.is_empty() && cover_every_action(&wide)
}

pub(super) fn everything(context: &PermissionsContext<'_>) -> Vec<Finding> {
    let wide: Vec<&AllowStatement<'_>> =
        context.allows.iter().filter(|allow| covers_everything(allow.statement)).collect();
    let (unlimited, limited): (Vec<&AllowStatement<'_>>, Vec<_>) = wide.iter().partition(|allow| !allow.limited);
    let text = |statements: &[&AllowStatement<'_>]| match statements.iter().find(|allow| allow.covers_every_action()) {
        Some(AllowStatement { name, .. }) => format!("{name} allows every action on every resource"),
        None => format!("{} together allow every action on every resource", names(statements)),
    };
    if cover_every_action(&unlimited) {
        vec![Finding::new(text(&unlimited))]
    } else if cover_every_action(&wide) {
        let shown = if limited.iter().any(|allow| allow.covers_every_action()) { &limited } else { &wide };
        vec![Finding::new(format!("{}, under a condition", text(shown))).with_severity(Severity::High)]
    } else {
        Vec::new()
    }
}

fn names(statements: &[&AllowStatement<'_>]) -> String {
    let name = |allow: &&AllowStatement<'_>| match allow.name {
        StatementName::Sid(sid) => format!("`{sid}`"),
        StatementName::Number(number) => number.to_string(),
    };
    format!("statements {}", statements.iter().map(name).collect::<Vec<_>>().join(" and "))
}

/// More combinations of exclusions than an ordinary policy has.
const MAX_COMBINATIONS: usize = 10_000;

/// Whether the statements leave out no action.
fn cover_every_action(statements: &[&AllowStatement<'_>]) -> bool {
    let patterns: Vec<&String> = statements.iter().flat_map(|allow| allow.patterns()).collect();
    // sets of patterns: an action that matches all patterns of a set is under no `NotAction` so far
    let mut left_out = vec![vec!["?*:?*"]];
    for allow in statements {
        let Choice::AllBut(excluded) = &allow.statement.actions else { continue };
        let combined = left_out.iter().flat_map(|set| {
            let overlapping = excluded.iter().filter(|item| set.iter().all(|known| overlap(known, item)));
            overlapping.map(|item| set.iter().copied().chain([item.as_str()]).collect::<Vec<_>>())
        });
        left_out = combined.take(MAX_COMBINATIONS).collect();
        if left_out.len() == MAX_COMBINATIONS {
            return false;
        }
    }
    left_out.iter().all(|set| set.iter().any(|item| together_cover(&patterns, item)))
}

pub(super) fn all_but(context: &PermissionsContext<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for AllowStatement { name, statement, .. } in context.narrower() {
        if let Choice::AllBut(excluded) = &statement.actions
            && !excluded.iter().any(|pattern| covers(pattern, "?*:?*"))
        {
            let text = format!("{name} allows all actions except some (`NotAction`), and new ones too");
            let severity = if covers_everything(statement) { Severity::High } else { Severity::Medium };
            found.push(Finding::new(text).with_severity(severity));
        }
        if matches!(statement.resources, Some(Choice::AllBut(_))) && covers_everything(statement) {
            let text = format!("{name} allows all resources except some (`NotResource`), and new ones too");
            found.push(Finding::new(text).with_severity(Severity::Medium));
        }
    }
    found
}

/// Actions that read data.
const READS: &str = "
    s3:GetObject s3:GetObjectVersion secretsmanager:GetSecretValue ssm:GetParameter ssm:GetParameters
    ssm:GetParametersByPath ssm:GetParameterHistory kms:Decrypt dynamodb:GetItem dynamodb:BatchGetItem dynamodb:Query
    dynamodb:Scan
";

pub(super) fn read_all(context: &PermissionsContext<'_>) -> Vec<Finding> {
    everywhere(context, &READS.split_ascii_whitespace().collect::<Vec<_>>(), "on every resource")
}

/// A finding for each statement that allows one of the actions on every resource, without a limit.
fn everywhere(context: &PermissionsContext<'_>, actions: &[&str], what: &str) -> Vec<Finding> {
    let finding = |allow: &AllowStatement<'_>| {
        let allowed = quoted(actions.iter().filter(|action| allow.allows_everywhere(action)));
        (!allowed.is_empty())
            .then(|| Finding::new(format!("{} allows {} {what}", allow.name, shortened(allowed, ", "))))
    };
    context.unlimited().filter(|allow| !allow.actions.is_empty()).filter_map(finding).collect()
}

/// Actions by which somebody else gets access through the policy of a resource
/// (<https://github.com/salesforce/endgame>, <https://github.com/salesforce/cloudsplaining>).
const SEVERE_SHARING: &str = "
    kms:CreateGrant kms:PutKeyPolicy ram:CreateResourceShare s3:PutAccessPointPolicy s3:PutBucketAcl
    s3:PutBucketPolicy secretsmanager:PutResourcePolicy
";

/// The same on resources that are less valuable.
const OTHER_SHARING: &str = "
    backup:PutBackupVaultAccessPolicy ec2:ModifyImageAttribute ec2:ModifySnapshotAttribute ecr:SetRepositoryPolicy
    lambda:AddPermission rds:ModifyDBClusterSnapshotAttribute rds:ModifyDBSnapshotAttribute sns:AddPermission
    sns:SetTopicAttributes sqs:AddPermission sqs:SetQueueAttributes ssm:ModifyDocumentPermission
";

pub(super) fn shares_access(context: &PermissionsContext<'_>) -> Vec<Finding> {
    let what = "on every resource: its holder can give other accounts access";
    // a whole service has a finding of IRSA036 as well, so here it is less severe
    let severe = SEVERE_SHARING.split_ascii_whitespace();
    let (whole, severe): (Vec<&str>, Vec<&str>) =
        severe.partition(|action| is_allowed_as_whole_service(context, action));
    let others: Vec<&str> = whole.into_iter().chain(OTHER_SHARING.split_ascii_whitespace()).collect();
    let mut found = everywhere(context, &severe, what);
    let others = everywhere(context, &others, what).into_iter();
    found.extend(others.map(|finding| finding.with_severity(Severity::Medium)));
    found
}

/// Whether only patterns for the whole of its service allow the action.
fn is_allowed_as_whole_service(context: &PermissionsContext<'_>, action: &str) -> bool {
    let action = action.to_ascii_lowercase();
    let service = action.split_once(':').map_or("*", |(service, _)| service);
    let whole_service = format!("{service}:*");
    let mut allowing =
        context.narrower().flat_map(AllowStatement::patterns).filter(|pattern| covers(pattern, &action)).peekable();
    allowing.peek().is_some() && allowing.all(|pattern| covers(pattern, &whole_service))
}

/// Services that hold data, run code or control access. Whole services other than these are less severe.
const IMPORTANT_SERVICES: &str = "
    account acm-pca apprunner athena autoscaling backup batch bedrock cloudformation cloudtrail codebuild codecommit
    codedeploy codepipeline cognito-identity cognito-idp config dms docdb-elastic ds dsql dynamodb ebs ec2 ecr ecs eks
    elasticache elasticfilesystem elasticmapreduce es events firehose fsx glacier glue guardduty iam identitystore kafka
    kinesis kms lambda lightsail logs memorydb organizations ram rds rds-data redshift redshift-data route53 s3
    sagemaker secretsmanager securityhub sns sqs ssm sso sts
";

pub(super) fn whole_services(context: &PermissionsContext<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for allow in context.unlimited() {
        let services = allow.patterns().iter().filter_map(|pattern| pattern.split_once(':'));
        let services: Vec<&str> = services
            .filter(|(service, name)| {
                covers(name, "?*") && covers_every(allow.statement, ResourceType { service, resource: "?*" })
            })
            .map(|(service, _)| service)
            .collect();
        let important = services.iter().any(|service| has_word(IMPORTANT_SERVICES, service));
        let severity = if important { Severity::Medium } else { Severity::Low };
        if !services.is_empty() {
            let list = quoted(services.iter().map(|service| format!("{service}:*")));
            let text = format!("{} allows {} on every resource", allow.name, shortened(list, ", "));
            found.push(Finding::new(text).with_severity(severity));
        }
    }
    found
}
