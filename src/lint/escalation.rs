//! Sets of actions that lead to every other permission: by changing policies and trust, by making credentials, or by
//! starting or changing something under a stronger role.
//!
//! The paths are those of <https://pathfinding.cloud> (read 2025-12), which credits who published each first, and those of
//! AWS's own pages on passing roles (<https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html>) and
//! on boundaries (<https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html>). Well known ones
//! only; that none is found proves nothing.

use crate::model::note::Severity::{self, Critical, High};

/// A path: open if all of its actions are allowed.
pub(super) struct Way {
    pub actions: &'static [&'static str],
    pub severity: Severity,
    /// To which service a role is passed, if that is part of it.
    pub service: Option<&'static str>,
}

/// To give oneself or others more, at once.
const fn direct(actions: &'static [&'static str]) -> Way {
    Way { actions, severity: Critical, service: None }
}

/// To use the role of something that is there already.
const fn existing(actions: &'static [&'static str]) -> Way {
    Way { actions, severity: High, service: None }
}

/// To start something under a role of one's choice.
const fn pass(service: &'static str, actions: &'static [&'static str]) -> Way {
    Way { actions, severity: Critical, service: Some(service) }
}

pub(super) const WAYS: &[Way] = &[
    direct(&["iam:AddUserToGroup"]),
    direct(&["iam:AttachGroupPolicy"]),
    direct(&["iam:AttachRolePolicy"]),
    direct(&["iam:AttachUserPolicy"]),
    direct(&["iam:CreateAccessKey"]),
    direct(&["iam:CreateLoginProfile"]),
    direct(&["iam:CreatePolicyVersion"]),
    direct(&["iam:DeleteRolePermissionsBoundary"]),
    direct(&["iam:DeleteUserPermissionsBoundary"]),
    direct(&["iam:PutGroupPolicy"]),
    direct(&["iam:PutRolePermissionsBoundary"]),
    direct(&["iam:PutRolePolicy"]),
    direct(&["iam:PutUserPermissionsBoundary"]),
    direct(&["iam:PutUserPolicy"]),
    direct(&["iam:SetDefaultPolicyVersion"]),
    direct(&["iam:UpdateAssumeRolePolicy"]),
    direct(&["iam:UpdateLoginProfile"]),
    direct(&["iam:UpdateSAMLProvider"]),
    direct(&["iam:AddClientIDToOpenIDConnectProvider"]),
    direct(&["iam:UpdateOpenIDConnectProviderThumbprint"]),
    direct(&["sso:AttachManagedPolicyToPermissionSet"]),
    direct(&["sso:CreateAccountAssignment"]),
    direct(&["sso:PutInlinePolicyToPermissionSet"]),
    existing(&["apprunner:UpdateService"]),
    existing(&["bedrock-agentcore:StartCodeInterpreterSession", "bedrock-agentcore:InvokeCodeInterpreter"]),
    existing(&["cloudformation:CreateChangeSet"]),
    existing(&["cloudformation:UpdateStack"]),
    existing(&["codebuild:StartBuild"]),
    existing(&["codebuild:StartBuildBatch"]),
    existing(&["ecs:ExecuteCommand"]),
    existing(&["ec2-instance-connect:SendSSHPublicKey"]),
    existing(&["ec2:CreateLaunchTemplateVersion", "ec2:ModifyLaunchTemplate"]),
    existing(&["ec2:ModifyInstanceAttribute", "ec2:StopInstances", "ec2:StartInstances"]),
    existing(&["eks:AssociateAccessPolicy"]),
    existing(&["eks:CreateAccessEntry"]),
    existing(&["eks:UpdateAccessEntry"]),
    existing(&["glue:UpdateDevEndpoint"]),
    existing(&["identitystore:CreateGroupMembership"]),
    existing(&["lambda:UpdateFunctionCode"]),
    existing(&["lambda:UpdateFunctionConfiguration"]),
    existing(&["sagemaker:CreatePresignedNotebookInstanceUrl"]),
    existing(&[
        "sagemaker:CreateNotebookInstanceLifecycleConfig",
        "sagemaker:StopNotebookInstance",
        "sagemaker:UpdateNotebookInstance",
        "sagemaker:StartNotebookInstance",
    ]),
    existing(&["organizations:CreateAccount"]),
    existing(&["organizations:DetachPolicy"]),
    existing(&["organizations:UpdatePolicy"]),
    existing(&["ssm:CreateAssociation"]),
    existing(&["ssm:SendCommand"]),
    existing(&["ssm:StartSession"]),
    pass("build.apprunner.amazonaws.com", &["iam:PassRole", "apprunner:CreateService"]),
    pass(
        "bedrock-agentcore.amazonaws.com",
        &[
            "iam:PassRole",
            "bedrock-agentcore:CreateCodeInterpreter",
            "bedrock-agentcore:StartCodeInterpreterSession",
            "bedrock-agentcore:InvokeCodeInterpreter",
        ],
    ),
    pass("batch.amazonaws.com", &["iam:PassRole", "batch:RegisterJobDefinition", "batch:SubmitJob"]),
    pass("cloudformation.amazonaws.com", &["iam:PassRole", "cloudformation:CreateStack"]),
    pass(
        "cloudformation.amazonaws.com",
        &["iam:PassRole", "cloudformation:CreateStackSet", "cloudformation:CreateStackInstances"],
    ),
    pass("cloudformation.amazonaws.com", &["iam:PassRole", "cloudformation:UpdateStackSet"]),
    pass("codebuild.amazonaws.com", &["iam:PassRole", "codebuild:CreateProject", "codebuild:StartBuild"]),
    pass("codebuild.amazonaws.com", &["iam:PassRole", "codebuild:CreateProject", "codebuild:StartBuildBatch"]),
    pass(
        "datapipeline.amazonaws.com",
        &["iam:PassRole", "datapipeline:CreatePipeline", "datapipeline:PutPipelineDefinition"],
    ),
    pass("ec2.amazonaws.com", &["iam:PassRole", "ec2:AssociateIamInstanceProfile"]),
    pass("ec2.amazonaws.com", &["iam:PassRole", "ec2:ReplaceIamInstanceProfileAssociation"]),
    pass("ec2.amazonaws.com", &["iam:PassRole", "ec2:RequestSpotInstances"]),
    pass("ec2.amazonaws.com", &["iam:PassRole", "ec2:RunInstances"]),
    pass("ecs-tasks.amazonaws.com", &["iam:PassRole", "ecs:RegisterTaskDefinition", "ecs:CreateService"]),
    pass("ecs-tasks.amazonaws.com", &["iam:PassRole", "ecs:RegisterTaskDefinition", "ecs:RunTask"]),
    pass("ecs-tasks.amazonaws.com", &["iam:PassRole", "ecs:RegisterTaskDefinition", "ecs:StartTask"]),
    pass("ecs-tasks.amazonaws.com", &["iam:PassRole", "ecs:RegisterTaskDefinition", "ecs:UpdateService"]),
    pass("elasticmapreduce.amazonaws.com", &["iam:PassRole", "elasticmapreduce:RunJobFlow"]),
    pass("glue.amazonaws.com", &["iam:PassRole", "glue:CreateDevEndpoint"]),
    pass("glue.amazonaws.com", &["iam:PassRole", "glue:CreateJob", "glue:CreateTrigger"]),
    pass("glue.amazonaws.com", &["iam:PassRole", "glue:CreateJob", "glue:StartJobRun"]),
    pass("glue.amazonaws.com", &["iam:PassRole", "glue:UpdateJob", "glue:CreateTrigger"]),
    pass("glue.amazonaws.com", &["iam:PassRole", "glue:UpdateJob", "glue:StartJobRun"]),
    pass("lambda.amazonaws.com", &["iam:PassRole", "lambda:CreateFunction", "lambda:AddPermission"]),
    pass("lambda.amazonaws.com", &["iam:PassRole", "lambda:CreateFunction", "lambda:CreateEventSourceMapping"]),
    pass("lambda.amazonaws.com", &["iam:PassRole", "lambda:CreateFunction", "lambda:InvokeFunction"]),
    pass("pods.eks.amazonaws.com", &["iam:PassRole", "eks:CreatePodIdentityAssociation"]),
    pass("pods.eks.amazonaws.com", &["iam:PassRole", "eks:UpdatePodIdentityAssociation"]),
    pass("sagemaker.amazonaws.com", &["iam:PassRole", "sagemaker:CreateNotebookInstance"]),
    pass("sagemaker.amazonaws.com", &["iam:PassRole", "sagemaker:CreateProcessingJob"]),
    pass("sagemaker.amazonaws.com", &["iam:PassRole", "sagemaker:CreateTrainingJob"]),
    pass("scheduler.amazonaws.com", &["iam:PassRole", "scheduler:CreateSchedule"]),
    pass("states.amazonaws.com", &["iam:PassRole", "states:CreateStateMachine"]),
    pass("states.amazonaws.com", &["iam:PassRole", "states:UpdateStateMachine"]),
    pass("ssm.amazonaws.com", &["iam:PassRole", "ssm:StartAutomationExecution"]),
];

/// StringMap that are enough on a single role or user: one gives it permissions, the other lets the holder be it.
pub(super) const PAIRS: &[(&[&str], &[&str])] = &[
    (&["iam:AttachRolePolicy", "iam:PutRolePolicy"], &["iam:CreateRole", "iam:UpdateAssumeRolePolicy"]),
    (
        &["iam:AttachUserPolicy", "iam:PutUserPolicy"],
        &["iam:CreateAccessKey", "iam:CreateLoginProfile", "iam:UpdateLoginProfile"],
    ),
];

/// What is too much on a single identity provider: everyone whom it lets in anywhere is whoever may write it.
pub(super) const PROVIDERS: &[&str] = &["iam:UpdateOpenIDConnectProviderThumbprint", "iam:UpdateSAMLProvider"];

/// As whom a service uses the roles that are passed to it, where that is not its own name.
pub(super) const USERS_OF_ROLES: &[(&str, &str)] = &[
    ("apprunner", "build.apprunner.amazonaws.com"),
    ("apprunner", "tasks.apprunner.amazonaws.com"),
    ("ecs", "ecs-tasks.amazonaws.com"),
    ("eks", "pods.eks.amazonaws.com"),
];
