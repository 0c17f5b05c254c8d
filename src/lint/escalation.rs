//! Sets of actions that let a role gain more permissions: by changing policies or trust, by creating credentials, or by
//! starting or changing something that runs under a stronger role.
//!
//! Sources: <https://pathfinding.cloud> (as of 2025-12), and AWS on passing roles
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html>) and on boundaries
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html>). The list is not complete.

use crate::model::note::Severity::{self, Critical, High};
use std::sync::LazyLock;

/// A set of actions that together allow escalation.
pub(super) struct EscalationPath {
    pub actions: Vec<&'static str>,
    pub severity: Severity,
    /// The service principal that a role is passed to, if `iam:PassRole` is one of the actions.
    pub service: Option<&'static str>,
}

pub(super) static PATHS: LazyLock<Vec<EscalationPath>> = LazyLock::new(|| {
    let direct = paths(DIRECT).map(|actions| EscalationPath { actions, severity: Critical, service: None });
    let existing = paths(THROUGH_EXISTING).map(|actions| EscalationPath { actions, severity: High, service: None });
    let by_service = BY_PASSING.split(';').filter_map(|group| group.trim().split_once(": "));
    let passing = by_service.flat_map(|(service, list)| {
        paths(list).map(move |mut actions| {
            actions.insert(0, "iam:PassRole");
            EscalationPath { actions, severity: Critical, service: Some(service) }
        })
    });
    direct.chain(existing).chain(passing).collect()
});

/// Paths are separated by commas, and the actions of a path by `+`.
fn paths(list: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    list.split(',').map(|path| path.split('+').map(str::trim).collect())
}

/// Actions that directly give more permissions to the caller or to somebody else.
const DIRECT: &str = "
    iam:AddUserToGroup, iam:AttachGroupPolicy, iam:AttachRolePolicy, iam:AttachUserPolicy, iam:CreateAccessKey,
    iam:CreateLoginProfile, iam:CreatePolicyVersion, iam:DeleteRolePermissionsBoundary,
    iam:DeleteUserPermissionsBoundary, iam:PutGroupPolicy, iam:PutRolePermissionsBoundary, iam:PutRolePolicy,
    iam:PutUserPermissionsBoundary, iam:PutUserPolicy, iam:SetDefaultPolicyVersion, iam:UpdateAssumeRolePolicy,
    iam:UpdateLoginProfile, iam:UpdateSAMLProvider, iam:AddClientIDToOpenIDConnectProvider,
    iam:UpdateOpenIDConnectProviderThumbprint, sso:AttachManagedPolicyToPermissionSet, sso:CreateAccountAssignment,
    sso:PutInlinePolicyToPermissionSet
";

/// Actions that use the role of an existing resource.
const THROUGH_EXISTING: &str = "
    apprunner:UpdateService, bedrock-agentcore:StartCodeInterpreterSession + bedrock-agentcore:InvokeCodeInterpreter,
    cloudformation:CreateChangeSet, cloudformation:UpdateStack, codebuild:StartBuild, codebuild:StartBuildBatch,
    ecs:ExecuteCommand, ec2-instance-connect:SendSSHPublicKey, ec2:CreateLaunchTemplateVersion +
    ec2:ModifyLaunchTemplate, ec2:ModifyInstanceAttribute + ec2:StopInstances + ec2:StartInstances,
    eks:AssociateAccessPolicy, eks:CreateAccessEntry, eks:UpdateAccessEntry, glue:UpdateDevEndpoint,
    identitystore:CreateGroupMembership, lambda:UpdateFunctionCode, lambda:UpdateFunctionConfiguration,
    sagemaker:CreatePresignedNotebookInstanceUrl, sagemaker:CreateNotebookInstanceLifecycleConfig +
    sagemaker:StopNotebookInstance + sagemaker:UpdateNotebookInstance + sagemaker:StartNotebookInstance,
    organizations:CreateAccount, organizations:DetachPolicy, organizations:UpdatePolicy, ssm:CreateAssociation,
    ssm:SendCommand, ssm:StartSession
";

/// Actions that start something under a role of one's choice, in addition to `iam:PassRole`, by the service that the
/// role is passed to.
const BY_PASSING: &str = "
    build.apprunner.amazonaws.com: apprunner:CreateService;
    bedrock-agentcore.amazonaws.com: bedrock-agentcore:CreateCodeInterpreter +
        bedrock-agentcore:StartCodeInterpreterSession + bedrock-agentcore:InvokeCodeInterpreter;
    batch.amazonaws.com: batch:RegisterJobDefinition + batch:SubmitJob;
    cloudformation.amazonaws.com: cloudformation:CreateStack, cloudformation:CreateStackSet +
        cloudformation:CreateStackInstances, cloudformation:UpdateStackSet;
    codebuild.amazonaws.com: codebuild:CreateProject + codebuild:StartBuild, codebuild:CreateProject +
        codebuild:StartBuildBatch;
    datapipeline.amazonaws.com: datapipeline:CreatePipeline + datapipeline:PutPipelineDefinition;
    ec2.amazonaws.com: ec2:AssociateIamInstanceProfile, ec2:ReplaceIamInstanceProfileAssociation,
        ec2:RequestSpotInstances, ec2:RunInstances;
    ecs-tasks.amazonaws.com: ecs:RegisterTaskDefinition + ecs:CreateService, ecs:RegisterTaskDefinition + ecs:RunTask,
        ecs:RegisterTaskDefinition + ecs:StartTask, ecs:RegisterTaskDefinition + ecs:UpdateService;
    elasticmapreduce.amazonaws.com: elasticmapreduce:RunJobFlow;
    glue.amazonaws.com: glue:CreateDevEndpoint, glue:CreateJob + glue:CreateTrigger, glue:CreateJob +
        glue:StartJobRun, glue:UpdateJob + glue:CreateTrigger, glue:UpdateJob + glue:StartJobRun;
    lambda.amazonaws.com: lambda:CreateFunction + lambda:AddPermission, lambda:CreateFunction +
        lambda:CreateEventSourceMapping, lambda:CreateFunction + lambda:InvokeFunction;
    pods.eks.amazonaws.com: eks:CreatePodIdentityAssociation, eks:UpdatePodIdentityAssociation;
    sagemaker.amazonaws.com: sagemaker:CreateNotebookInstance, sagemaker:CreateProcessingJob,
        sagemaker:CreateTrainingJob;
    scheduler.amazonaws.com: scheduler:CreateSchedule;
    states.amazonaws.com: states:CreateStateMachine, states:UpdateStateMachine;
    ssm.amazonaws.com: ssm:StartAutomationExecution;
";

/// Pairs of actions that are enough on one role or user: the first gives it permissions, the second lets the holder use
/// it.
pub(super) const PAIRS: &[(&[&str], &[&str])] = &[
    (&["iam:AttachRolePolicy", "iam:PutRolePolicy"], &["iam:CreateRole", "iam:UpdateAssumeRolePolicy"]),
    (
        &["iam:AttachUserPolicy", "iam:PutUserPolicy"],
        &["iam:CreateAccessKey", "iam:CreateLoginProfile", "iam:UpdateLoginProfile"],
    ),
];

/// Actions that are too much even on one identity provider: who can change it can be everyone that it lets in.
pub(super) const ON_PROVIDERS: &[&str] = &["iam:UpdateOpenIDConnectProviderThumbprint", "iam:UpdateSAMLProvider"];

/// The service principals that roles are passed to, for services that use another name than their own.
pub(super) const SERVICE_PRINCIPALS: &[(&str, &str)] = &[
    ("apprunner", "build.apprunner.amazonaws.com"),
    ("apprunner", "tasks.apprunner.amazonaws.com"),
    ("ecs", "ecs-tasks.amazonaws.com"),
    ("eks", "pods.eks.amazonaws.com"),
];
