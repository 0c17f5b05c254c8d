//! Sets of actions that lead to every other permission: by changing policies and trust, or by starting something under
//! a stronger role (<https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html>).
//!
//! Well known ones only; that none is found proves nothing.

/// Each is enough if all of its actions are allowed.
const WAYS: &[&[&str]] = &[
    &["glue:UpdateDevEndpoint"],
    &["iam:AddUserToGroup"],
    &["iam:AttachGroupPolicy"],
    &["iam:AttachRolePolicy"],
    &["iam:AttachUserPolicy"],
    &["iam:CreateAccessKey"],
    &["iam:CreateLoginProfile"],
    &["iam:CreatePolicyVersion"],
    &["iam:PutGroupPolicy"],
    &["iam:PutRolePolicy"],
    &["iam:PutUserPolicy"],
    &["iam:SetDefaultPolicyVersion"],
    &["iam:UpdateAssumeRolePolicy"],
    &["iam:UpdateLoginProfile"],
    &["lambda:UpdateFunctionCode"],
    &["iam:PassRole", "cloudformation:CreateStack"],
    &["iam:PassRole", "codebuild:CreateProject", "codebuild:StartBuild"],
    &["iam:PassRole", "datapipeline:CreatePipeline", "datapipeline:PutPipelineDefinition"],
    &["iam:PassRole", "ec2:RunInstances"],
    &["iam:PassRole", "ecs:RegisterTaskDefinition", "ecs:RunTask"],
    &["iam:PassRole", "glue:CreateDevEndpoint"],
    &["iam:PassRole", "glue:CreateJob", "glue:StartJobRun"],
    &["iam:PassRole", "lambda:CreateFunction", "lambda:AddPermission"],
    &["iam:PassRole", "lambda:CreateFunction", "lambda:CreateEventSourceMapping"],
    &["iam:PassRole", "lambda:CreateFunction", "lambda:InvokeFunction"],
    &["iam:PassRole", "sagemaker:CreateNotebookInstance"],
    &["iam:PassRole", "ssm:StartAutomationExecution"],
];

/// The ways that are open.
pub(super) fn ways(allowed: impl Fn(&str) -> bool) -> Vec<&'static [&'static str]> {
    WAYS.iter().copied().filter(|way| way.iter().all(|action| allowed(action))).collect()
}
