//! The actions that rules ask for by name, with the type of resource that each works on
//! (<https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html>).

use super::resources::ResourceType;
use crate::policy::canonical::{CanonicalStatement, Choice};
use crate::policy::pattern::{fixed_prefix, matches};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::LazyLock;

/// One resource type a line: the service in its ARN, the pattern of its resource part, and its actions in lower case.
const TABLE: &str = "
    apprunner service/?*/?* apprunner:createservice apprunner:updateservice
    backup backup-vault:?* backup:putbackupvaultaccesspolicy
    batch job-definition/?* batch:registerjobdefinition batch:submitjob
    bedrock-agentcore code-interpreter-custom/?* bedrock-agentcore:createcodeinterpreter
    bedrock-agentcore code-interpreter-custom/?* bedrock-agentcore:invokecodeinterpreter
    bedrock-agentcore code-interpreter-custom/?* bedrock-agentcore:startcodeinterpretersession
    cloudformation stack/?*/?* cloudformation:createchangeset cloudformation:createstack
    cloudformation stack/?*/?* cloudformation:executechangeset cloudformation:updatestack
    cloudformation stackset/?*:?* cloudformation:createstackinstances cloudformation:createstackset
    cloudformation stackset/?*:?* cloudformation:updatestackset
    codebuild project/?* codebuild:createproject codebuild:startbuild codebuild:startbuildbatch
    datapipeline pipeline/?* datapipeline:createpipeline datapipeline:putpipelinedefinition
    dynamodb table/?* dynamodb:batchgetitem dynamodb:getitem dynamodb:query dynamodb:scan
    ec2 image/?* ec2:modifyimageattribute
    ec2 instance/?* ec2-instance-connect:sendsshpublickey ec2:associateiaminstanceprofile ec2:modifyinstanceattribute
    ec2 instance/?* ec2:replaceiaminstanceprofileassociation ec2:requestspotinstances ec2:runinstances
    ec2 instance/?* ec2:startinstances ec2:stopinstances ssm:createassociation ssm:sendcommand ssm:startsession
    ec2 launch-template/?* ec2:createlaunchtemplateversion ec2:modifylaunchtemplate
    ec2 snapshot/?* ec2:modifysnapshotattribute
    ecr repository/?* ecr:setrepositorypolicy
    ecs service/?* ecs:createservice ecs:updateservice
    ecs task-definition/?*:?* ecs:registertaskdefinition ecs:runtask ecs:starttask
    ecs task/?* ecs:executecommand
    eks access-entry/?* eks:associateaccesspolicy eks:updateaccessentry
    eks cluster/?* eks:createaccessentry eks:createpodidentityassociation
    eks podidentityassociation/?* eks:updatepodidentityassociation
    elasticmapreduce cluster/?* elasticmapreduce:runjobflow
    glue devEndpoint/?* glue:createdevendpoint glue:updatedevendpoint
    glue job/?* glue:createjob glue:startjobrun glue:updatejob
    glue trigger/?* glue:createtrigger
    iam group/?* iam:addusertogroup iam:attachgrouppolicy iam:putgrouppolicy
    iam oidc-provider/?*.?* iam:addclientidtoopenidconnectprovider iam:updateopenidconnectproviderthumbprint
    iam policy/?* iam:createpolicyversion iam:setdefaultpolicyversion
    iam role/?* iam:attachrolepolicy iam:createrole iam:deleterolepermissionsboundary iam:deleterolepolicy
    iam role/?* iam:detachrolepolicy iam:passrole iam:putrolepermissionsboundary iam:putrolepolicy iam:tagrole
    iam role/?* iam:untagrole iam:updateassumerolepolicy sts:assumerole
    iam saml-provider/?* iam:updatesamlprovider
    iam user/?* iam:attachuserpolicy iam:createaccesskey iam:createloginprofile iam:createuser
    iam user/?* iam:deleteuserpermissionsboundary iam:putuserpermissionsboundary iam:putuserpolicy
    iam user/?* iam:updateloginprofile
    identitystore group/?* identitystore:creategroupmembership
    kms key/????????-????-????-????-???????????? kms:creategrant kms:decrypt kms:putkeypolicy
    lambda event-source-mapping:?* lambda:createeventsourcemapping
    lambda function:?* lambda:addpermission lambda:createfunction lambda:invokefunction lambda:updatefunctioncode
    lambda function:?* lambda:updatefunctionconfiguration
    organizations account/?* organizations:createaccount
    organizations policy/?* organizations:detachpolicy organizations:updatepolicy
    ram resource-share/?* ram:createresourceshare
    rds cluster-snapshot:?* rds:modifydbclustersnapshotattribute
    rds snapshot:?* rds:modifydbsnapshotattribute
    s3 ???* s3:putbucketacl s3:putbucketpolicy
    s3 ???*/?* s3:getobject s3:getobjectversion
    s3 accesspoint/?* s3:putaccesspointpolicy
    sagemaker notebook-instance-lifecycle-config/?* sagemaker:createnotebookinstancelifecycleconfig
    sagemaker notebook-instance/?* sagemaker:createnotebookinstance sagemaker:createpresignednotebookinstanceurl
    sagemaker notebook-instance/?* sagemaker:startnotebookinstance sagemaker:stopnotebookinstance
    sagemaker notebook-instance/?* sagemaker:updatenotebookinstance
    sagemaker processing-job/?* sagemaker:createprocessingjob
    sagemaker training-job/?* sagemaker:createtrainingjob
    scheduler schedule/?*/?* scheduler:createschedule
    secretsmanager secret:?*-?????? secretsmanager:getsecretvalue secretsmanager:putresourcepolicy
    sns ?* sns:addpermission sns:settopicattributes
    sqs ?* sqs:addpermission sqs:setqueueattributes
    ssm automation-definition/?* ssm:startautomationexecution
    ssm document/?* ssm:modifydocumentpermission
    ssm parameter/?* ssm:getparameter ssm:getparameterhistory ssm:getparameters ssm:getparametersbypath
    sso permissionSet/?* sso:attachmanagedpolicytopermissionset sso:createaccountassignment
    sso permissionSet/?* sso:putinlinepolicytopermissionset
    states stateMachine:?* states:createstatemachine states:updatestatemachine
";

static KNOWN: LazyLock<BTreeMap<&str, ResourceType<'static>>> = LazyLock::new(|| {
    let rows = TABLE.trim().lines().map(|line| {
        let mut words = line.split_ascii_whitespace();
        let (service, resource) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        words.map(move |action| (action, ResourceType { service, resource }))
    });
    rows.flatten().collect()
});

/// A set of known actions.
#[derive(Debug, Clone, Default)]
pub(super) struct Actions(BTreeSet<&'static str>);

impl Actions {
    /// The known actions that the statement covers.
    pub(super) fn of(statement: &CanonicalStatement) -> Self {
        match &statement.actions {
            Choice::Only(patterns) => Self::matching(patterns),
            Choice::AllBut(patterns) => {
                let excluded = Self::matching(patterns).0;
                Self(KNOWN.keys().copied().filter(|action| !excluded.contains(action)).collect())
            }
        }
    }

    fn matching(patterns: &[String]) -> Self {
        let mut actions = BTreeSet::new();
        for pattern in patterns {
            let literal = fixed_prefix(pattern);
            let from_literal = KNOWN.range::<str, _>((Bound::Included(literal), Bound::Unbounded));
            let candidates = from_literal.map(|(action, _)| *action).take_while(|action| action.starts_with(literal));
            actions.extend(candidates.filter(|action| matches(pattern, action)));
        }
        Self(actions)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the set has this known action, in any case.
    pub(super) fn contains(&self, action: &str) -> bool {
        self.0.contains(known(action).0)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().copied()
    }

    pub(super) fn insert(&mut self, action: &str) {
        self.0.insert(known(action).0);
    }
}

/// The type of resource that a known action works on.
pub(super) fn resource_type(action: &str) -> ResourceType<'static> {
    known(action).1
}

fn known(action: &str) -> (&'static str, ResourceType<'static>) {
    match KNOWN.get_key_value(action.to_ascii_lowercase().as_str()) {
        Some((name, resource)) => (name, *resource),
        None => unreachable!("`{action}` is not a known action"),
    }
}

#[cfg(test)]
mod tests;
