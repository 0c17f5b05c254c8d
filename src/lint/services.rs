//! The names of AWS services in actions, condition keys and ARNs
//! (<https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html>,
//! as of 2026-08). Newer services are missing, so an unknown name alone is at most a finding of medium severity.

use std::collections::HashSet;
use std::sync::LazyLock;
use strsim::damerau_levenshtein;

static SERVICES: LazyLock<HashSet<&str>> = LazyLock::new(|| NAMES.split_ascii_whitespace().collect());

/// Whether AWS has a service of this name, which is in lower case.
pub(super) fn is_service(name: &str) -> bool {
    SERVICES.contains(name)
}

/// A service whose name differs by one letter, or by two that are swapped.
pub(super) fn similar_service(name: &str) -> Option<&'static str> {
    // a long name is not compared at all
    let near = |known: &&str| known.len().abs_diff(name.len()) <= 1 && damerau_levenshtein(known, name) == 1;
    NAMES.split_ascii_whitespace().filter(|_| name.is_ascii()).find(near)
}

const NAMES: &str = "
    a2c a4b access-analyzer account account-access acm acm-pca aco-automation action-recommendations agent-registry
    aidevops aiops airflow airflow-serverless amplify amplifybackend amplifyuibuilder aoss apigateway
    app-integrations appconfig appfabric appflow application-autoscaling application-signals
    application-transformation applicationinsights applicationwizard appmesh appmesh-preview apprunner appstream
    appstudio appsync apptest aps arc-region-switch arc-zonal-shift arsenal artifact athena auditmanager autoscaling
    autoscaling-plans aws-external-anthropic aws-marketplace aws-marketplace-management aws-portal awsconnector b2bi
    backup backup-gateway backup-search backup-storage batch bcm-dashboards bcm-data-exports bcm-pricing-calculator
    bcm-recommended-actions bedrock bedrock-agentcore bedrock-mantle bedrock-websearch billing billingconductor
    braket budgets bugbust builderid cases cassandra catalog catalog-admin catalog-user ce chatbot chime cleanrooms
    cleanrooms-ml cloud9 clouddirectory cloudformation cloudfront cloudfront-keyvaluestore cloudhsm cloudsearch
    cloudshell cloudtrail cloudtrail-data cloudwatch codeartifact codebuild codecatalyst codecommit codeconnections
    codedeploy codeguru codeguru-profiler codeguru-reviewer codeguru-security codepipeline codestar
    codestar-connections codestar-notifications codewhisperer cognito-identity cognito-idp cognito-sync comprehend
    comprehendmedical compute-optimizer config connect connect-campaigns consoleapp consolidatedbilling
    controlcatalog controltower cost-optimization-hub crowd cur customer-verification databrew dataexchange
    datapipeline datasync datazone datazonecontrol dax dbqms deadline deepcomposer deeplens deepracer detective
    devicefarm devops-guru directconnect discovery dlm dms docdb-elastic drs ds ds-data dsql dynamodb ebs ec2
    ec2-instance-connect ec2-reports ec2messages ecr ecr-public ecs eks eks-auth eks-mcp elastic-inference
    elasticache elasticbeanstalk elasticfilesystem elasticloadbalancing elasticmapreduce elastictranscoder
    elemental-activations elemental-appliances-software elemental-inference elemental-support-cases
    elemental-support-content emr-containers emr-serverless entityresolution es events eventsbilltoaws evidently evs
    execute-api finops-agent finspace firehose fis fms forecast frauddetector freertos freetier fsx gamelift
    gameliftstreams geo geo-maps geo-places geo-routes glacier globalaccelerator glue grafana greengrass
    groundstation groundtruthlabeling guardduty health healthlake honeycode iam iam-toolbox iamtoolbox identity-sync
    identitystore identitystore-auth imagebuilder importexport inspector inspector-scan inspector2
    inspector2-telemetry interconnect internetmonitor invoicing iot iot-device-tester iot1click iotanalytics
    iotdeviceadvisor iotevents iotfleethub iotfleetwise iotjobsdata iotmanagedintegrations iotroborunner iotsitewise
    iotthingsgraph iottwinmaker iotwireless iq iq-permission ivs ivschat kafka kafka-cluster kafkaconnect kendra
    kendra-ranking kinesis kinesisanalytics kinesisvideo kms lakeformation lambda launchwizard lex license-manager
    license-manager-linux-subscriptions license-manager-user-subscriptions lightsail logs lookoutequipment
    lookoutmetrics lookoutvision m2 machinelearning macie2 managedblockchain mapcredits mechanicalturk mediaconnect
    mediaconvert medialive mediapackage mediapackage-vod mediapackagev2 mediastore mediatailor medical-imaging
    memorydb mgh mgn migrationhub-orchestrator migrationhub-strategy mobileanalytics mobilehub mobiletargeting
    monitron mpa mq neptune-db neptune-graph network-firewall networkflowmonitor networkmanager networkmonitor
    nimble notifications notifications-contacts nova-act oam observabilityadmin odb omics one opensearch opsworks
    opsworks-cm organizations osis outposts panorama partnercentral partnercentral-account-management
    payment-cryptography payments pca-connector-ad pca-connector-scep pcs personalize pi pipes polly pricing
    pricingplanmanager private-networks profile proton purchase-orders q qapps qbusiness qdeveloper qldb quicksight
    ram rbin rds rds-data rds-db redshift redshift-data redshift-serverless refactor-spaces rekognition
    researchstudio resiliencehub resource-explorer-2 resource-groups robomaker rolesanywhere route53
    route53-recovery-cluster route53-recovery-control-config route53-recovery-readiness route53domains
    route53globalresolver route53profiles route53resolver rtbfabric rum s3 s3-object-lambda s3-outposts s3express
    s3files s3tables s3vectors sagemaker sagemaker-data-science-assistant sagemaker-geospatial
    sagemaker-groundtruth-synthetic sagemaker-mlflow sagemaker-unified-studio-mcp saml savingsplans scheduler
    schemas scn sdb secretsmanager security-ir securityagent securityhub securitylake serverlessrepo servicecatalog
    servicediscovery servicequotas ses shield signer signin simspaceweaver sms sms-voice snowball sns
    social-messaging sqlworkbench sqs ssm ssm-contacts ssm-guiconnect ssm-incidents ssm-quicksetup ssm-sap
    ssmmessages sso sso-directory sso-oauth states storagegateway sts sumerian support support-console supportapp
    supportplans sustainability swf synthetics tag tax textract thinclient timestream timestream-influxdb tiros tnb
    transcribe transfer transform transform-custom translate trustedadvisor user-subscriptions uxc vendor-insights
    verifiedpermissions voiceid vpc-lattice vpc-lattice-svcs waf waf-regional wafv2 wam wellarchitected wickr wisdom
    workdocs worklink workmail workmailmessageflow workspaces workspaces-instances workspaces-web xray zocalo
";

#[cfg(test)]
mod tests;
