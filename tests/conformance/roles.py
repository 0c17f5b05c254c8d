"""Roles: what is refused, what reads back otherwise than it was written, and the account as a whole."""

import json
import re
import urllib.error
import urllib.parse
import urllib.request

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from ask import (
    ACCOUNT,
    CONFLICT,
    ENDPOINT,
    EXISTS,
    INPUT,
    LIMIT,
    MALFORMED,
    NO_ENTITY,
    OTHER,
    POLICY,
    REGION,
    VALIDATION,
    aws_trust,
    counted,
    document,
    gives,
    holds,
    iam,
    make_role,
    policy_arn,
    principal_of,
    quietly,
    refuses,
    role_arn,
    settled,
    spaced,
    tags,
    the_role,
    web_trust,
)
from policies import POL1, S3_READ


def new_roles():
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html"""
    gives(
        "a role is made whole",
        make_role,
        lambda r: r["Role"]["Arn"] == role_arn("irsa/team/app") and r["Role"]["RoleId"].startswith("AROA"),
        lambda r: isinstance(r["Role"]["AssumeRolePolicyDocument"], dict),
        name="app",
        Path="/irsa/team/",
        Description="hello",
        MaxSessionDuration=7200,
        PermissionsBoundary=POL1,
        Tags=[{"Key": "irsa/managed", "Value": "true"}, {"Key": "env", "Value": "dev"}],
    )
    refuses("a role twice", EXISTS, make_role, name="app")
    refuses("a role twice, in another case", EXISTS, make_role, name="APP")
    refuses("a name with a space", VALIDATION, make_role, name="bad name!")
    refuses("a name of 65 letters", VALIDATION, make_role, name="a" * 65)
    refuses("a path without a slash", VALIDATION, make_role, name="bp", Path="nolead")
    refuses("a session of 100 seconds", VALIDATION, make_role, name="ms", MaxSessionDuration=100)
    refuses("a session of 50,000 seconds", VALIDATION, make_role, name="ms2", MaxSessionDuration=50_000)
    refuses("a description of 1,001 letters", VALIDATION, make_role, name="de", Description="x" * 1001)
    refuses("a boundary that is not there", NO_ENTITY, make_role, name="bo", PermissionsBoundary=policy_arn("none"))
    refuses("a boundary that is no ARN", [VALIDATION, INPUT], make_role, name="bo2", PermissionsBoundary="junk" * 6)
    refuses("51 tags", [LIMIT, VALIDATION, INPUT], make_role, name="tg", Tags=tags(51))
    twice = [{"Key": "a", "Value": "1"}, {"Key": "A", "Value": "2"}]
    refuses("a tag twice, in another case", INPUT, make_role, name="tg2", Tags=twice)
    refuses("a tag of AWS's own", [INPUT, VALIDATION], make_role, name="tg3", Tags=[{"Key": "aws:x", "Value": "1"}])
    gives("50 tags", make_role, lambda r: len(r["Role"]["Tags"]) == 50, name="fifty", Tags=tags(50))


BAD_TRUSTS = {
    "that is no JSON": "{nope",
    "without a principal": document({"Effect": "Allow", "Action": "sts:AssumeRole"}),
    "with a resource": aws_trust(ACCOUNT, Resource="*"),
    "with an action that is not STS's": aws_trust(ACCOUNT, action="s3:GetObject"),
    "with a role that is not there": aws_trust(role_arn("doesnotexist")),
    "with a condition that there is not": web_trust().replace("StringEquals", "StringEqualz"),
}


def trust_policies():
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html"""
    for what, trust in BAD_TRUSTS.items():
        refuses(f"a new role's trust {what}", MALFORMED, make_role, name="m", trust=trust)
    refuses("a new role's trust above 2,048 characters", LIMIT, make_role, name="m7", trust=web_trust("y" * 2000))
    wide = spaced(web_trust("z" * 800))
    gives(
        f"a trust of {counted(wide)} characters that count has white space for free",
        make_role,
        lambda _: len(wide) > 2048 > counted(wide),
        name="wsok",
        trust=wide,
    )
    gives("a trust in another account's number", make_role, name="acct", trust=aws_trust(OTHER))
    gives(
        "an account's number reads back as its root",
        principal_of,
        lambda principal: principal == f"arn:aws:iam::{OTHER}:root",
        name="acct",
    )
    for kind, prefix in (("role", "AROA"), ("user", "AIDA")):
        if kind == "role":
            quietly(make_role, name="leaver")
            leave = lambda: iam.delete_role(RoleName="leaver")
        else:
            quietly(iam.create_user, UserName="leaver")
            leave = lambda: iam.delete_user(UserName="leaver")
        arn = f"arn:aws:iam::{ACCOUNT}:{kind}/leaver"
        gives(f"a trust in a {kind}", make_role, name=f"keeper-{kind}", trust=aws_trust(arn))
        gives(f"a {kind} reads back by its ARN", principal_of, lambda seen, arn=arn: seen == arn, name=f"keeper-{kind}")
        quietly(leave)
        gives(
            f"a {kind} that was deleted reads back as {prefix}…",
            principal_of,
            lambda seen, prefix=prefix: seen.startswith(prefix),
            name=f"keeper-{kind}",
        )
    quietly(make_role, name="leaver")
    gives(
        "a role made anew is not the one that was trusted",
        principal_of,
        lambda seen: seen.startswith("AROA"),
        name="keeper-role",
    )


def role_reads():
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_Role.html"""
    gives(
        "a role reads back whole",
        the_role,
        lambda r: (r["MaxSessionDuration"], r["Description"], r["Path"]) == (7200, "hello", "/irsa/team/"),
        lambda r: r["PermissionsBoundary"]["PermissionsBoundaryArn"] == POL1,
        lambda r: sorted(tag["Key"] for tag in r["Tags"]) == ["env", "irsa/managed"],
        name="app",
    )
    gives("a role that was never used has a last use, empty", the_role, lambda r: r["RoleLastUsed"] == {}, name="app")
    # The model of the SDKs has another word for it; this is what is on the wire.
    gives(
        "a boundary's type is Policy",
        the_role,
        lambda r: r["PermissionsBoundary"]["PermissionsBoundaryType"] == "Policy",
        name="app",
    )
    settled("a role by its name in another case", NO_ENTITY, the_role, name="APP")
    refuses("a role that is not there", NO_ENTITY, the_role, name="none")


def raw(fields, key="test", secret="test", signed=True):
    """A request without boto3: status and body."""
    body = urllib.parse.urlencode({**fields, "Version": "2010-05-08"})
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    request = AWSRequest("POST", ENDPOINT, data=body, headers=headers)
    if signed:
        SigV4Auth(Credentials(key, secret), "iam", REGION).add_auth(request)
    plain = urllib.request.Request(
        f"{ENDPOINT}/", data=body.encode(), headers=dict(request.headers.items()), method="POST"
    )
    try:
        with urllib.request.urlopen(plain, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def wire():
    """https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html"""
    get = {"Action": "GetRole", "RoleName": "app"}
    status, body = raw(get)
    found = re.search("<AssumeRolePolicyDocument>(.*?)</AssumeRolePolicyDocument>", body, re.DOTALL)
    holds(
        "a document is percent-encoded on the wire", bool(found) and found[1].strip().startswith("%7B%22"), body[:600]
    )
    holds("an answer has its request's id", status == 200 and "<RequestId>" in body, body[-300:])
    status, body = raw({**get, "RoleName": "none"})
    holds("an error is a document of its own", "<ErrorResponse" in body and "<Type>Sender</Type>" in body, body)
    status, body = raw(get, signed=False)
    holds(
        "an unsigned request -> MissingAuthenticationToken",
        status == 403 and "MissingAuthenticationToken" in body,
        [status, body],
    )
    status, body = raw(get, key="AKIAIOSFODNN7EXAMPLE", secret="wrong")
    holds(
        "a key that nobody has -> InvalidClientTokenId",
        status == 403 and "InvalidClientTokenId" in body,
        [status, body],
    )
    status, body = raw({"Action": "NoSuchAction"})
    holds("an operation that there is not -> InvalidAction", status == 400 and "InvalidAction" in body, [status, body])


def role_lists():
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListRoles.html"""
    for index in range(7):
        quietly(make_role, name=f"pg{index}", Path="/page/")
    gives("roles are listed by path", iam.list_roles, lambda r: len(r["Roles"]) == 7, PathPrefix="/page/")
    gives(
        "a first page has three roles and a marker",
        iam.list_roles,
        lambda r: (len(r["Roles"]), r["IsTruncated"], "Marker" in r) == (3, True, True),
        PathPrefix="/page/",
        MaxItems=3,
    )
    pages = iam.get_paginator("list_roles").paginate
    gives(
        "seven roles are pages of 3, 3 and 1",
        lambda: [len(page["Roles"]) for page in pages(PathPrefix="/page/", PaginationConfig={"PageSize": 3})],
        lambda sizes: sizes == [3, 3, 1],
    )
    gives(
        "lists have no tags, boundary or last use",
        iam.list_roles,
        lambda r: len(r["Roles"]) == 1 and not {"Tags", "PermissionsBoundary", "RoleLastUsed"} & set(r["Roles"][0]),
        PathPrefix="/irsa/",
    )
    refuses("a marker that nobody gave out", [VALIDATION, INPUT], iam.list_roles, Marker="garbage")
    refuses("a page of nothing", VALIDATION, iam.list_roles, MaxItems=0)


def role_changes():
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateRole.html"""
    update = iam.update_assume_role_policy
    gives("a trust is changed", update, RoleName="app", PolicyDocument=web_trust("new"))
    gives(
        "a changed trust is read",
        the_role,
        lambda r: r["AssumeRolePolicyDocument"]["Statement"][0]["Condition"]["StringLike"] == {"x:sub": "new"},
        name="app",
    )
    for what, trust in BAD_TRUSTS.items():
        refuses(f"a changed trust {what}", MALFORMED, update, RoleName="app", PolicyDocument=trust)
    refuses(
        "a changed trust above 2,048 characters", LIMIT, update, RoleName="app", PolicyDocument=web_trust("y" * 2000)
    )
    refuses("a trust of a role that is not there", NO_ENTITY, update, RoleName="none", PolicyDocument=web_trust())
    gives("a role is updated", iam.update_role, RoleName="app", Description="d2", MaxSessionDuration=10_800)
    gives(
        "an updated role is read",
        the_role,
        lambda r: (r["Description"], r["MaxSessionDuration"]) == ("d2", 10_800),
        name="app",
    )
    refuses("an update to a session of one second", VALIDATION, iam.update_role, RoleName="app", MaxSessionDuration=1)
    quietly(iam.update_role, RoleName="app", Description="only")
    gives(
        "an update without a session sets one hour",
        the_role,
        lambda r: (r["Description"], r["MaxSessionDuration"]) == ("only", 3600),
        name="app",
    )
    refuses("an update of a role that is not there", NO_ENTITY, iam.update_role, RoleName="none", Description="x")
    gives(
        "a role is tagged",
        iam.tag_role,
        RoleName="app",
        Tags=[{"Key": "env", "Value": "prod"}, {"Key": "n", "Value": ""}],
    )
    gives(
        "a role's tags are listed",
        iam.list_role_tags,
        lambda r: {tag["Key"]: tag["Value"] for tag in r["Tags"]} == {"env": "prod", "n": "", "irsa/managed": "true"},
        RoleName="app",
    )
    gives(
        "tags come in pages",
        iam.list_role_tags,
        lambda r: (len(r["Tags"]), r["IsTruncated"]) == (1, True),
        RoleName="app",
        MaxItems=1,
    )
    refuses("more than 50 tags in all", [LIMIT, VALIDATION, INPUT], iam.tag_role, RoleName="app", Tags=tags(49))
    aws_tag = [{"Key": "aws:k", "Value": "v"}]
    refuses("a tag of AWS's own is set", [INPUT, VALIDATION], iam.tag_role, RoleName="app", Tags=aws_tag)
    refuses("a tag of AWS's own is taken away", [INPUT, VALIDATION], iam.untag_role, RoleName="app", TagKeys=["aws:k"])
    refuses(
        "a tag of a role that is not there", NO_ENTITY, iam.tag_role, RoleName="none", Tags=[{"Key": "k", "Value": "v"}]
    )
    gives("a tag that is not there is taken away", iam.untag_role, RoleName="app", TagKeys=["n", "absent"])


def details():
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountAuthorizationDetails.html"""
    quietly(iam.attach_role_policy, RoleName="app", PolicyArn=POL1)
    call = iam.get_account_authorization_details
    pages = iam.get_paginator("get_account_authorization_details").paginate
    app = lambda r: next(role for role in r["RoleDetailList"] if role["RoleName"] == "app")
    gives(
        "details of a role have its policies, tags and boundary",
        call,
        lambda r: isinstance(app(r)["AssumeRolePolicyDocument"], dict),
        lambda r: app(r)["RolePolicyList"][0]["PolicyDocument"] == json.loads(POLICY),
        lambda r: len(app(r)["AttachedManagedPolicies"]) == 2 and len(app(r)["Tags"]) == 2,
        lambda r: app(r)["PermissionsBoundary"]["PermissionsBoundaryArn"] == POL1,
        Filter=["Role"],
    )
    gives(
        "details of roles are of roles alone",
        call,
        lambda r: not r.get("UserDetailList") and not r.get("Policies"),
        Filter=["Role"],
    )
    gives(
        "details of a role have no description or session",
        call,
        lambda r: not {"MaxSessionDuration", "Description"} & set(app(r)),
        Filter=["Role"],
    )
    gives(
        "a first page of details has two roles and a marker",
        call,
        lambda r: (len(r["RoleDetailList"]), r["IsTruncated"], "Marker" in r) == (2, True, True),
        Filter=["Role"],
        MaxItems=2,
    )
    gives(
        "details come in pages",
        lambda: [len(page["RoleDetailList"]) for page in pages(Filter=["Role"], PaginationConfig={"PageSize": 4})],
        lambda sizes: len(sizes) > 1 and set(sizes[:-1]) == {4} and 0 < sizes[-1] <= 4,
    )
    gives(
        "details of the account's policies have their versions",
        call,
        lambda r: len(r["Policies"]) >= 11 and "PolicyVersionList" in r["Policies"][0],
        Filter=["LocalManagedPolicy"],
    )


def deletions():
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteRole.html"""
    for arn in (POL1, S3_READ):
        quietly(iam.detach_role_policy, RoleName="app", PolicyArn=arn)
    refuses("a role with an inline policy is deleted", CONFLICT, iam.delete_role, RoleName="app")
    gives("an inline policy is deleted", iam.delete_role_policy, RoleName="app", PolicyName="in1")
    refuses("an inline policy is deleted again", NO_ENTITY, iam.delete_role_policy, RoleName="app", PolicyName="in1")
    quietly(iam.create_instance_profile, InstanceProfileName="holder")
    quietly(iam.add_role_to_instance_profile, InstanceProfileName="holder", RoleName="app")
    refuses("a role in an instance profile is deleted", CONFLICT, iam.delete_role, RoleName="app")
    refuses(
        "an instance profile with a role is deleted",
        CONFLICT,
        iam.delete_instance_profile,
        InstanceProfileName="holder",
    )
    quietly(iam.remove_role_from_instance_profile, InstanceProfileName="holder", RoleName="app")
    gives("a role with nothing is deleted", iam.delete_role, RoleName="app")
    refuses("a role is deleted again", NO_ENTITY, iam.delete_role, RoleName="app")
    refuses("a policy with other versions is deleted", CONFLICT, iam.delete_policy, PolicyArn=POL1)
    gives(
        "a service-linked role has its service's path",
        iam.create_service_linked_role,
        lambda r: "/aws-service-role/eks.amazonaws.com/" in r["Role"]["Path"],
        AWSServiceName="eks.amazonaws.com",
    )
    linked = "AWSServiceRoleForAmazonEKS"
    refuses(
        "a service-linked role is changed",
        ("UnmodifiableEntity", 400),
        iam.update_assume_role_policy,
        RoleName=linked,
        PolicyDocument=web_trust(),
    )
    quotas = {
        "AssumeRolePolicySizeQuota": 2048,
        "AttachedPoliciesPerRoleQuota": 10,
        "PolicySizeQuota": 6144,
        "RolePolicySizeQuota": 10_240,
        "VersionsPerPolicyQuota": 5,
    }
    gives("the account's summary counts roles", iam.get_account_summary, lambda r: r["SummaryMap"]["Roles"] > 7)
    gives(
        "the account's summary has its quotas",
        iam.get_account_summary,
        lambda r: {name: r["SummaryMap"].get(name) for name in quotas} == quotas,
    )
