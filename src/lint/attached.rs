//! Rules on attached policies of AWS's own. Their documents are not read here: what this linter says of them, as they were
//! in 2026-08, stands in tables
//! (<https://docs.aws.amazon.com/aws-managed-policy/latest/reference/policy-list.html>). Policies of service-linked roles,
//! which nobody can attach, are left out.

use super::Found;
use crate::ids::PolicyArn;
use crate::model::note::Severity::{self, Critical, High, Medium};

/// IRSA030
pub(super) fn everything(arn: &PolicyArn) -> Vec<Found> {
    found(arn, &["AdministratorAccess"], Critical, "allows every action on every resource")
}

/// IRSA031
pub(super) fn escalation(arn: &PolicyArn) -> Vec<Found> {
    let mut all = found(arn, &["IAMFullAccess"], Critical, "lets its holder give itself every permission");
    all.extend(found(arn, ESCALATING, Critical, "leads to permissions that it does not name"));
    all.extend(found(arn, USING_OTHERS, High, "lets its holder use the roles of what is there already"));
    all
}

/// IRSA034
pub(super) fn all_but(arn: &PolicyArn) -> Vec<Found> {
    found(arn, &["PowerUserAccess"], High, "allows all but some actions, new ones too")
}

/// IRSA036
pub(super) fn services(arn: &PolicyArn) -> Vec<Found> {
    found(arn, ADMINISTRATORS, High, "is an administrator's: it rules whole services")
}

/// IRSA037
pub(super) fn handed_on(arn: &PolicyArn) -> Vec<Found> {
    found(arn, HANDING_ON, Medium, "lets its holder let in other accounts")
}

fn found(arn: &PolicyArn, names: &[&str], severity: Severity, what: &str) -> Vec<Found> {
    let is = arn.account() == "aws" && names.contains(&arn.name());
    is.then(|| Found::new(format!("attached policy `{}` {what}", arn.name())).but(severity)).into_iter().collect()
}

/// The administrators among AWS's job functions, and those that are called so
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_job-functions.html>).
const ADMINISTRATORS: &[&str] = &[
    "AWSManagementConsoleAdministratorAccess",
    "AdministratorAccess-AWSElasticBeanstalk",
    "DatabaseAdministrator",
    "NetworkAdministrator",
    "SystemAdministrator",
];

/// They pass any role on to something that they start, or change IAM itself.
const ESCALATING: &[&str] = &[
    "AWSBackupServiceRolePolicyForRestores",
    "AWSBatchServiceRole",
    "AWSCodeStarServiceRole",
    "AWSDataPipelineRole",
    "AWSElasticBeanstalkFullAccess",
    "AWSElasticBeanstalkService",
    "AWSFaultInjectionSimulatorSSMAccess",
    "AWSLambdaFullAccess",
    "AWSLambda_FullAccess",
    "AWSManagedAccountManagementAccess",
    "AWSMarketplaceFullAccess",
    "AWSOpsWorksRegisterCLI",
    "AWSSSOMasterAccountAdministrator",
    "AWSSSOMemberAccountAdministrator",
    "AdministratorAccess-Amplify",
    "AmazonDynamoDBFullAccesswithDataPipeline",
    "AmazonEC2ContainerServiceFullAccess",
    "AmazonEC2SpotFleetRole",
    "AmazonEC2SpotFleetTaggingRole",
    "AmazonECS_FullAccess",
    "AmazonElasticMapReduceFullAccess",
    "AmazonElasticMapReduceRole",
    "AmazonEventBridgeFullAccess",
    "AmazonEventBridgeSchedulerFullAccess",
    "AmazonSageMakerFullAccess",
    "AmazonSageMakerPipelinesIntegrations",
    "CloudWatchEventsFullAccess",
    "DataScientist",
    "SageMakerStudioAdminIAMDefaultExecutionPolicy",
    "SageMakerStudioAdminIAMPermissiveExecutionPolicy",
    "ServerMigrationServiceLaunchRole",
    "WellArchitectedConsoleFullAccess",
];

/// They change, or get into, what runs under roles that are there, or make accounts.
const USING_OTHERS: &[&str] = &[
    "AWSAppRunnerFullAccess",
    "AWSApplicationMigrationEC2Access",
    "AWSBackupFullAccess",
    "AWSBackupOperatorAccess",
    "AWSBackupServiceRolePolicyForBackup",
    "AWSCloudFormationFullAccess",
    "AWSCodeBuildAdminAccess",
    "AWSCodeBuildDeveloperAccess",
    "AWSConnector",
    "AWSDataLifecycleManagerSSMFullAccess",
    "AWSDeepRacerCloudFormationAccessPolicy",
    "AWSDeepRacerServiceRolePolicy",
    "AWSEC2VssRestorePolicy",
    "AWSElasticDisasterRecoveryConsoleFullAccess",
    "AWSElasticDisasterRecoveryConsoleFullAccess_v2",
    "AWSFaultInjectionSimulatorEC2Access",
    "AWSGlueConsoleFullAccess",
    "AWSGlueConsoleSageMakerNotebookFullAccess",
    "AWSGlueServiceNotebookRole",
    "AWSGlueServiceRole",
    "AWSOrganizationsFullAccess",
    "AWSRefactoringToolkitFullAccess",
    "AWSSystemsManagerJustInTimeAccessTokenPolicy",
    "AWSTransformServerMigrationAgentPolicy",
    "AmazonApplicationWizardFullaccess",
    "AmazonDataZoneProjectRolePermissionsBoundary",
    "AmazonDataZoneSageMakerEnvironmentRolePermissionsBoundary",
    "AmazonEC2FullAccess",
    "AmazonEC2RolePolicyForLaunchWizard",
    "AmazonLambdaRolePolicyForLaunchWizardSAP",
    "AmazonLaunchWizardFullaccess",
    "AmazonSSMAutomationRole",
    "AmazonSSMFullAccess",
    "AmazonSSMMaintenanceWindowRole",
    "AmazonSageMakerServiceCatalogProductsCloudformationServiceRolePolicy",
    "AmazonSageMakerServiceCatalogProductsLambdaServiceRolePolicy",
    "AwsGlueSessionUserRestrictedNotebookServiceRole",
    "AwsGlueSessionUserRestrictedServiceRole",
    "BedrockAgentCoreFullAccess",
    "EC2ImageBuilderExecutionPolicy",
    "EC2InstanceConnect",
    "SageMakerStudioUserIAMPermissiveExecutionPolicy",
    "SecretsManagerReadWrite",
    "ServerMigrationServiceRole",
    "SystemAdministrator",
];

/// They change the policies of all buckets, keys or secrets, or share what can be shared.
const HANDING_ON: &[&str] = &[
    "AWSBackupAdminPolicy",
    "AWSBackupOperatorPolicy",
    "AWSCloudTrailFullAccess",
    "AWSLakeFormationCrossAccountManager",
    "AWSNetworkFirewallFullAccess",
    "AWSResourceAccessManagerFullAccess",
    "AmazonConnectFullAccess",
    "AmazonDataZoneFullAccess",
    "AmazonDataZoneSageMakerManageAccessRolePolicy",
    "AmazonEC2RoleforDataPipelineRole",
    "AmazonElasticMapReduceforEC2Role",
    "AmazonMSKFullAccess",
    "AmazonMachineLearningRoleforRedshiftDataSource",
    "AmazonS3FullAccess",
    "SageMakerStudioFullAccess",
    "SageMakerStudioProjectRoleMachineLearningPolicy",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_in_order() {
        for table in [ADMINISTRATORS, ESCALATING, USING_OTHERS, HANDING_ON] {
            assert!(table.is_sorted(), "{table:?}");
        }
    }
}
