//! Rules on attached AWS managed policies. irsa does not read their documents: the lists here say what they allow, as
//! of 2026-08 (<https://docs.aws.amazon.com/aws-managed-policy/latest/reference/policy-list.html>). They leave out
//! policies of service-linked roles, which cannot be attached to other roles.

use super::{Check, Finding, Findings, Location, document, has_word};
use crate::ids::PolicyArn;
use crate::model::note::Severity::{self, Critical, High, Medium};

const CHECKS: &[Check<PolicyArn>] = &[
    ("IRSA030", everything),
    ("IRSA031", escalation),
    ("IRSA034", all_but),
    ("IRSA036", whole_services),
    ("IRSA037", shares_access),
    ("IRSA039", document::in_attached_arn),
];

/// Checks the ARN of an attached policy.
pub(super) fn check(findings: &mut Findings, location: &Location, arn: &PolicyArn) {
    findings.run(location, CHECKS, arn);
}

fn everything(arn: &PolicyArn) -> Vec<Finding> {
    listed(arn, "AdministratorAccess", Critical, "allows every action on every resource")
}

fn escalation(arn: &PolicyArn) -> Vec<Finding> {
    let mut all = listed(arn, "IAMFullAccess", Critical, "lets its holder give itself every permission");
    all.extend(listed(arn, ESCALATING, Critical, "lets its holder gain permissions that it does not name"));
    all.extend(listed(arn, USING_OTHERS, High, "lets its holder use the roles of existing resources"));
    all
}

fn all_but(arn: &PolicyArn) -> Vec<Finding> {
    listed(arn, "PowerUserAccess", High, "allows all actions except some, and new ones too")
}

fn whole_services(arn: &PolicyArn) -> Vec<Finding> {
    listed(arn, ADMINISTRATORS, High, "is for administrators of whole services")
}

fn shares_access(arn: &PolicyArn) -> Vec<Finding> {
    listed(arn, SHARING, Medium, "lets its holder give other accounts access")
}

fn listed(arn: &PolicyArn, names: &str, severity: Severity, what: &str) -> Vec<Finding> {
    let is_listed = arn.account() == "aws" && has_word(names, arn.name());
    let text = || format!("attached policy `{}` {what}", arn.name());
    is_listed.then(|| Finding::new(text()).with_severity(severity)).into_iter().collect()
}

/// Policies of AWS's job functions for administrators, and those with such a name
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_job-functions.html>).
const ADMINISTRATORS: &str = "
    AWSManagementConsoleAdministratorAccess AdministratorAccess-AWSElasticBeanstalk DatabaseAdministrator
    NetworkAdministrator SystemAdministrator
";

/// They can pass any role to something that they start, or change IAM itself.
const ESCALATING: &str = "
    AWSBackupServiceRolePolicyForRestores AWSBatchServiceRole AWSCodeStarServiceRole AWSDataPipelineRole
    AWSElasticBeanstalkFullAccess AWSElasticBeanstalkService AWSFaultInjectionSimulatorSSMAccess AWSLambdaFullAccess
    AWSLambda_FullAccess AWSManagedAccountManagementAccess AWSMarketplaceFullAccess AWSOpsWorksRegisterCLI
    AWSSSOMasterAccountAdministrator AWSSSOMemberAccountAdministrator AdministratorAccess-Amplify
    AmazonDynamoDBFullAccesswithDataPipeline AmazonEC2ContainerServiceFullAccess AmazonEC2SpotFleetRole
    AmazonEC2SpotFleetTaggingRole AmazonECS_FullAccess AmazonElasticMapReduceFullAccess AmazonElasticMapReduceRole
    AmazonEventBridgeFullAccess AmazonEventBridgeSchedulerFullAccess AmazonSageMakerFullAccess
    AmazonSageMakerPipelinesIntegrations CloudWatchEventsFullAccess DataScientist
    SageMakerStudioAdminIAMDefaultExecutionPolicy SageMakerStudioAdminIAMPermissiveExecutionPolicy
    ServerMigrationServiceLaunchRole WellArchitectedConsoleFullAccess
";

/// They can change or enter what runs under existing roles, or create accounts.
const USING_OTHERS: &str = "
    AWSAppRunnerFullAccess AWSApplicationMigrationEC2Access AWSBackupFullAccess AWSBackupOperatorAccess
    AWSBackupServiceRolePolicyForBackup AWSCloudFormationFullAccess AWSCodeBuildAdminAccess
    AWSCodeBuildDeveloperAccess AWSConnector AWSDataLifecycleManagerSSMFullAccess
    AWSDeepRacerCloudFormationAccessPolicy AWSDeepRacerServiceRolePolicy AWSEC2VssRestorePolicy
    AWSElasticDisasterRecoveryConsoleFullAccess AWSElasticDisasterRecoveryConsoleFullAccess_v2
    AWSFaultInjectionSimulatorEC2Access AWSGlueConsoleFullAccess AWSGlueConsoleSageMakerNotebookFullAccess
    AWSGlueServiceNotebookRole AWSGlueServiceRole AWSOrganizationsFullAccess AWSRefactoringToolkitFullAccess
    AWSSystemsManagerJustInTimeAccessTokenPolicy AWSTransformServerMigrationAgentPolicy
    AmazonApplicationWizardFullaccess AmazonDataZoneProjectRolePermissionsBoundary
    AmazonDataZoneSageMakerEnvironmentRolePermissionsBoundary AmazonEC2FullAccess AmazonEC2RolePolicyForLaunchWizard
    AmazonLambdaRolePolicyForLaunchWizardSAP AmazonLaunchWizardFullaccess AmazonSSMAutomationRole AmazonSSMFullAccess
    AmazonSSMMaintenanceWindowRole AmazonSageMakerServiceCatalogProductsCloudformationServiceRolePolicy
    AmazonSageMakerServiceCatalogProductsLambdaServiceRolePolicy AwsGlueSessionUserRestrictedNotebookServiceRole
    AwsGlueSessionUserRestrictedServiceRole BedrockAgentCoreFullAccess EC2ImageBuilderExecutionPolicy
    EC2InstanceConnect SageMakerStudioUserIAMPermissiveExecutionPolicy SecretsManagerReadWrite
    ServerMigrationServiceRole SystemAdministrator
";

/// They can change the policies of all buckets, keys or secrets, or share resources.
const SHARING: &str = "
    AWSBackupAdminPolicy AWSBackupOperatorPolicy AWSCloudTrailFullAccess AWSLakeFormationCrossAccountManager
    AWSNetworkFirewallFullAccess AWSResourceAccessManagerFullAccess AmazonConnectFullAccess AmazonDataZoneFullAccess
    AmazonDataZoneSageMakerManageAccessRolePolicy AmazonEC2RoleforDataPipelineRole AmazonElasticMapReduceforEC2Role
    AmazonMSKFullAccess AmazonMachineLearningRoleforRedshiftDataSource AmazonS3FullAccess SageMakerStudioFullAccess
    SageMakerStudioProjectRoleMachineLearningPolicy
";
