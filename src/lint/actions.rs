//! The actions that rules ask for by name, with the kind of resource that each is about
//! (<https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html>).

use super::reach::{Kind, kind};
use crate::policy::canonical::{CanonicalStatement, Choice};
use crate::policy::pattern_cover::matches;

const BUCKET: Kind<'static> = kind("s3", "???*");
const FUNCTION: Kind<'static> = kind("lambda", "function:?*");
const GROUP: Kind<'static> = kind("iam", "group/?*");
const INSTANCE: Kind<'static> = kind("ec2", "instance/?*");
const JOB: Kind<'static> = kind("glue", "job/?*");
const KEY: Kind<'static> = kind("kms", "key/????????-????-????-????-????????????");
const NOTEBOOK: Kind<'static> = kind("sagemaker", "notebook-instance/?*");
const OBJECT: Kind<'static> = kind("s3", "???*/?*");
const OIDC: Kind<'static> = kind("iam", "oidc-provider/?*.?*");
const PARAMETER: Kind<'static> = kind("ssm", "parameter/?*");
const POLICY: Kind<'static> = kind("iam", "policy/?*");
const PROJECT: Kind<'static> = kind("codebuild", "project/?*");
const ROLE: Kind<'static> = kind("iam", "role/?*");
const SAML: Kind<'static> = kind("iam", "saml-provider/?*");
const SECRET: Kind<'static> = kind("secretsmanager", "secret:?*-??????");
const STACK: Kind<'static> = kind("cloudformation", "stack/?*/?*");
const STACK_SET: Kind<'static> = kind("cloudformation", "stackset/?*:?*");
const TABLE: Kind<'static> = kind("dynamodb", "table/?*");
const TASK: Kind<'static> = kind("ecs", "task-definition/?*:?*");
const USER: Kind<'static> = kind("iam", "user/?*");

/// Each action that a rule names, in lower case and in order, and what it is done to.
const KNOWN: &[(&str, Kind<'static>)] = &[
    ("apprunner:createservice", kind("apprunner", "service/?*/?*")),
    ("apprunner:updateservice", kind("apprunner", "service/?*/?*")),
    ("backup:putbackupvaultaccesspolicy", kind("backup", "backup-vault:?*")),
    ("batch:registerjobdefinition", kind("batch", "job-definition/?*")),
    ("batch:submitjob", kind("batch", "job-definition/?*")),
    ("bedrock-agentcore:createcodeinterpreter", kind("bedrock-agentcore", "code-interpreter-custom/?*")),
    ("bedrock-agentcore:invokecodeinterpreter", kind("bedrock-agentcore", "code-interpreter-custom/?*")),
    ("bedrock-agentcore:startcodeinterpretersession", kind("bedrock-agentcore", "code-interpreter-custom/?*")),
    ("cloudformation:createchangeset", STACK),
    ("cloudformation:createstack", STACK),
    ("cloudformation:createstackinstances", STACK_SET),
    ("cloudformation:createstackset", STACK_SET),
    ("cloudformation:executechangeset", STACK),
    ("cloudformation:updatestack", STACK),
    ("cloudformation:updatestackset", STACK_SET),
    ("codebuild:createproject", PROJECT),
    ("codebuild:startbuild", PROJECT),
    ("codebuild:startbuildbatch", PROJECT),
    ("datapipeline:createpipeline", kind("datapipeline", "pipeline/?*")),
    ("datapipeline:putpipelinedefinition", kind("datapipeline", "pipeline/?*")),
    ("dynamodb:batchgetitem", TABLE),
    ("dynamodb:getitem", TABLE),
    ("dynamodb:query", TABLE),
    ("dynamodb:scan", TABLE),
    ("ec2-instance-connect:sendsshpublickey", INSTANCE),
    ("ec2:associateiaminstanceprofile", INSTANCE),
    ("ec2:createlaunchtemplateversion", kind("ec2", "launch-template/?*")),
    ("ec2:modifyimageattribute", kind("ec2", "image/?*")),
    ("ec2:modifyinstanceattribute", INSTANCE),
    ("ec2:modifylaunchtemplate", kind("ec2", "launch-template/?*")),
    ("ec2:modifysnapshotattribute", kind("ec2", "snapshot/?*")),
    ("ec2:replaceiaminstanceprofileassociation", INSTANCE),
    ("ec2:requestspotinstances", INSTANCE),
    ("ec2:runinstances", INSTANCE),
    ("ec2:startinstances", INSTANCE),
    ("ec2:stopinstances", INSTANCE),
    ("ecr:setrepositorypolicy", kind("ecr", "repository/?*")),
    ("ecs:createservice", kind("ecs", "service/?*")),
    ("ecs:executecommand", kind("ecs", "task/?*")),
    ("ecs:registertaskdefinition", TASK),
    ("ecs:runtask", TASK),
    ("ecs:starttask", TASK),
    ("ecs:updateservice", kind("ecs", "service/?*")),
    ("eks:associateaccesspolicy", kind("eks", "access-entry/?*")),
    ("eks:createaccessentry", kind("eks", "cluster/?*")),
    ("eks:createpodidentityassociation", kind("eks", "cluster/?*")),
    ("eks:updateaccessentry", kind("eks", "access-entry/?*")),
    ("eks:updatepodidentityassociation", kind("eks", "podidentityassociation/?*")),
    ("elasticmapreduce:runjobflow", kind("elasticmapreduce", "cluster/?*")),
    ("glue:createdevendpoint", kind("glue", "devEndpoint/?*")),
    ("glue:createjob", JOB),
    ("glue:createtrigger", kind("glue", "trigger/?*")),
    ("glue:startjobrun", JOB),
    ("glue:updatedevendpoint", kind("glue", "devEndpoint/?*")),
    ("glue:updatejob", JOB),
    ("iam:addclientidtoopenidconnectprovider", OIDC),
    ("iam:addusertogroup", GROUP),
    ("iam:attachgrouppolicy", GROUP),
    ("iam:attachrolepolicy", ROLE),
    ("iam:attachuserpolicy", USER),
    ("iam:createaccesskey", USER),
    ("iam:createloginprofile", USER),
    ("iam:createpolicyversion", POLICY),
    ("iam:createrole", ROLE),
    ("iam:createuser", USER),
    ("iam:deleterolepermissionsboundary", ROLE),
    ("iam:deleterolepolicy", ROLE),
    ("iam:deleteuserpermissionsboundary", USER),
    ("iam:detachrolepolicy", ROLE),
    ("iam:passrole", ROLE),
    ("iam:putgrouppolicy", GROUP),
    ("iam:putrolepermissionsboundary", ROLE),
    ("iam:putrolepolicy", ROLE),
    ("iam:putuserpermissionsboundary", USER),
    ("iam:putuserpolicy", USER),
    ("iam:setdefaultpolicyversion", POLICY),
    ("iam:tagrole", ROLE),
    ("iam:untagrole", ROLE),
    ("iam:updateassumerolepolicy", ROLE),
    ("iam:updateloginprofile", USER),
    ("iam:updateopenidconnectproviderthumbprint", OIDC),
    ("iam:updatesamlprovider", SAML),
    ("identitystore:creategroupmembership", kind("identitystore", "group/?*")),
    ("kms:creategrant", KEY),
    ("kms:decrypt", KEY),
    ("kms:putkeypolicy", KEY),
    ("lambda:addpermission", FUNCTION),
    ("lambda:createeventsourcemapping", kind("lambda", "event-source-mapping:?*")),
    ("lambda:createfunction", FUNCTION),
    ("lambda:invokefunction", FUNCTION),
    ("lambda:updatefunctioncode", FUNCTION),
    ("lambda:updatefunctionconfiguration", FUNCTION),
    ("organizations:createaccount", kind("organizations", "account/?*")),
    ("organizations:detachpolicy", kind("organizations", "policy/?*")),
    ("organizations:updatepolicy", kind("organizations", "policy/?*")),
    ("ram:createresourceshare", kind("ram", "resource-share/?*")),
    ("rds:modifydbclustersnapshotattribute", kind("rds", "cluster-snapshot:?*")),
    ("rds:modifydbsnapshotattribute", kind("rds", "snapshot:?*")),
    ("s3:getobject", OBJECT),
    ("s3:getobjectversion", OBJECT),
    ("s3:putaccesspointpolicy", kind("s3", "accesspoint/?*")),
    ("s3:putbucketacl", BUCKET),
    ("s3:putbucketpolicy", BUCKET),
    ("sagemaker:createnotebookinstance", NOTEBOOK),
    ("sagemaker:createnotebookinstancelifecycleconfig", kind("sagemaker", "notebook-instance-lifecycle-config/?*")),
    ("sagemaker:createpresignednotebookinstanceurl", NOTEBOOK),
    ("sagemaker:createprocessingjob", kind("sagemaker", "processing-job/?*")),
    ("sagemaker:createtrainingjob", kind("sagemaker", "training-job/?*")),
    ("sagemaker:startnotebookinstance", NOTEBOOK),
    ("sagemaker:stopnotebookinstance", NOTEBOOK),
    ("sagemaker:updatenotebookinstance", NOTEBOOK),
    ("scheduler:createschedule", kind("scheduler", "schedule/?*/?*")),
    ("secretsmanager:getsecretvalue", SECRET),
    ("secretsmanager:putresourcepolicy", SECRET),
    ("sns:addpermission", kind("sns", "?*")),
    ("sns:settopicattributes", kind("sns", "?*")),
    ("sqs:addpermission", kind("sqs", "?*")),
    ("sqs:setqueueattributes", kind("sqs", "?*")),
    ("ssm:createassociation", INSTANCE),
    ("ssm:getparameter", PARAMETER),
    ("ssm:getparameterhistory", PARAMETER),
    ("ssm:getparameters", PARAMETER),
    ("ssm:getparametersbypath", PARAMETER),
    ("ssm:modifydocumentpermission", kind("ssm", "document/?*")),
    ("ssm:sendcommand", INSTANCE),
    ("ssm:startautomationexecution", kind("ssm", "automation-definition/?*")),
    ("ssm:startsession", INSTANCE),
    ("sso:attachmanagedpolicytopermissionset", kind("sso", "permissionSet/?*")),
    ("sso:createaccountassignment", kind("sso", "permissionSet/?*")),
    ("sso:putinlinepolicytopermissionset", kind("sso", "permissionSet/?*")),
    ("states:createstatemachine", kind("states", "stateMachine:?*")),
    ("states:updatestatemachine", kind("states", "stateMachine:?*")),
    ("sts:assumerole", ROLE),
];

/// Some of the known actions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Actions([u64; 3]);

impl Actions {
    /// Those that the statement names, or covers by a pattern.
    pub(super) fn of(body: &CanonicalStatement) -> Self {
        match &body.actions {
            Choice::Only(set) => Self::named(set),
            Choice::AllBut(set) => {
                let excluded = Self::named(set);
                let mut rest = Self::default();
                (0..KNOWN.len()).filter(|index| !excluded.has(*index)).for_each(|index| rest.add(index));
                rest
            }
        }
    }

    fn named(patterns: &[String]) -> Self {
        let mut set = Self::default();
        for pattern in patterns {
            let literal = pattern.split(['*', '?']).next().unwrap_or_default();
            let first = KNOWN.partition_point(|(name, _)| *name < literal);
            let begins = KNOWN[first..].iter().take_while(|(name, _)| name.starts_with(literal));
            let known = begins.zip(first..).filter(|((name, _), _)| matches(pattern, name));
            known.for_each(|(_, index)| set.add(index));
        }
        set
    }

    fn add(&mut self, index: usize) {
        self.0[index / 64] |= 1 << (index % 64);
    }

    fn has(&self, index: usize) -> bool {
        self.0[index / 64] >> (index % 64) & 1 == 1
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether this one is among them; it must be known.
    pub(super) fn contains(&self, action: &str) -> bool {
        self.has(index(action))
    }

    /// Each with what it is done to.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, Kind<'static>)> {
        KNOWN.iter().enumerate().filter(|(index, _)| self.has(*index)).map(|(_, known)| *known)
    }

    /// Adds one.
    pub(super) fn insert(&mut self, action: &str) {
        self.add(index(action));
    }
}

fn index(action: &str) -> usize {
    let lower = action.to_ascii_lowercase();
    match KNOWN.binary_search_by(|(name, _)| (*name).cmp(lower.as_str())) {
        Ok(index) => index,
        Err(_) => unreachable!("`{action}` is not among the known actions"),
    }
}

/// What an action is done to.
pub(super) fn kind_of(action: &str) -> Kind<'static> {
    KNOWN[index(action)].1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Statement;
    use serde_json::{Value, json};

    fn of(element: &str, patterns: &Value) -> Vec<&'static str> {
        let statement = json!({"Effect": "Allow", element: patterns, "Resource": "*"});
        let statement = Statement::parse(&statement, None).unwrap();
        Actions::of(statement.canonical()).iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn the_table_is_in_order_and_fits() {
        assert!(KNOWN.is_sorted_by(|a, b| a.0 < b.0));
        assert!(KNOWN.len() <= 64 * 3);
        assert!(KNOWN.iter().all(|(name, _)| name.to_ascii_lowercase() == *name && name.contains(':')));
    }

    #[test]
    fn an_action_is_named_or_covered() {
        assert_eq!(of("Action", &json!("IAM:PassRole")), ["iam:passrole"]);
        assert_eq!(of("Action", &json!(["iam:Pass*", "sts:*Role"])), ["iam:passrole", "sts:assumerole"]);
        assert_eq!(of("Action", &json!("iam:Pass")), [""; 0]);
        assert_eq!(of("Action", &json!("ssm:?endCommand")), ["ssm:sendcommand"]);
        assert_eq!(of("Action", &json!("*")).len(), KNOWN.len());
        assert_eq!(of("NotAction", &json!(["iam:*", "sts:*"])).len(), {
            KNOWN.iter().filter(|(name, _)| !name.starts_with("iam:") && !name.starts_with("sts:")).count()
        });
        assert_eq!(of("NotAction", &json!("*")), [""; 0]);
    }
}
