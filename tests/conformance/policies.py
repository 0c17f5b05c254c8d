"""OpenID Connect providers and policies: their own life, and on a role."""

import json
import re

from ask import (
    CONFLICT,
    EXISTS,
    HOST_PATH,
    INPUT,
    ISSUER,
    LIMIT,
    MALFORMED,
    NO_ENTITY,
    POLICY,
    THUMBPRINT,
    VALIDATION,
    counted,
    gives,
    iam,
    many_buckets,
    policy_arn,
    provider_arn,
    quietly,
    refuses,
    settled,
    spaced,
    the_role,
)


def providers():
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateOpenIDConnectProvider.html"""
    arn, create = provider_arn(HOST_PATH), iam.create_open_id_connect_provider
    audience, print_list = ["sts.amazonaws.com"], [THUMBPRINT]
    tag = [{"Key": "a", "Value": "b"}]
    gives(
        "a provider is called as its issuer",
        create,
        lambda r: r["OpenIDConnectProviderArn"] == arn,
        Url=ISSUER,
        ClientIDList=audience,
        ThumbprintList=print_list,
        Tags=tag,
    )
    same = {"ClientIDList": audience, "ThumbprintList": print_list}
    refuses("a provider twice", EXISTS, create, Url=ISSUER, **same)
    refuses("a provider twice, with a slash at its end", [EXISTS, VALIDATION, INPUT], create, Url=f"{ISSUER}/", **same)
    bare = "oidc.eks.us-east-1.amazonaws.com/id/NOTHUMB"
    gives("a provider without thumbprints", create, Url=f"https://{bare}", ClientIDList=audience)
    get = iam.get_open_id_connect_provider
    gives(
        "a thumbprint is filled in where none is given",
        get,
        lambda r: len(r["ThumbprintList"]) == 1 and re.fullmatch("[0-9a-f]{40}", r["ThumbprintList"][0]) is not None,
        OpenIDConnectProviderArn=provider_arn(bare),
    )
    bad = [VALIDATION, INPUT]
    refuses(
        "a provider by http", bad, create, Url="http://foo.example.com", ClientIDList=["x"], ThumbprintList=print_list
    )
    refuses(
        "a thumbprint of 3 letters",
        bad,
        create,
        Url="https://bt.example.com",
        ClientIDList=["x"],
        ThumbprintList=["abc"],
    )
    six = [THUMBPRINT[:-1] + str(index) for index in range(6)]
    refuses(
        "six thumbprints", [*bad, LIMIT], create, Url="https://bt6.example.com", ClientIDList=["x"], ThumbprintList=six
    )
    gives(
        "a provider reads back without its scheme",
        get,
        lambda r: r["Url"] == HOST_PATH,
        lambda r: (r["ThumbprintList"], r["ClientIDList"], r["Tags"]) == (print_list, audience, tag),
        lambda r: "CreateDate" in r,
        OpenIDConnectProviderArn=arn,
    )
    nowhere = provider_arn("nope.example.com")
    refuses("a provider that is not there", NO_ENTITY, get, OpenIDConnectProviderArn=nowhere)
    gives(
        "providers are listed by ARN alone",
        iam.list_open_id_connect_providers,
        lambda r: {"Arn": arn} in r["OpenIDConnectProviderList"],
    )
    add, remove = iam.add_client_id_to_open_id_connect_provider, iam.remove_client_id_from_open_id_connect_provider
    second = {"OpenIDConnectProviderArn": arn, "ClientID": "second"}
    gives("an audience is added", add, **second)
    gives("an audience is added again", add, **second)
    gives(
        "both audiences are there",
        get,
        lambda r: sorted(r["ClientIDList"]) == ["second", *audience],
        OpenIDConnectProviderArn=arn,
    )
    gives("an audience is removed", remove, **second)
    gives("an audience is removed again", remove, **second)
    gives(
        "thumbprints are set",
        iam.update_open_id_connect_provider_thumbprint,
        OpenIDConnectProviderArn=arn,
        ThumbprintList=[THUMBPRINT[::-1]],
    )
    gives(
        "a provider is tagged",
        iam.tag_open_id_connect_provider,
        OpenIDConnectProviderArn=arn,
        Tags=[{"Key": "k2", "Value": "v2"}],
    )
    gives(
        "a provider's tags are listed",
        iam.list_open_id_connect_provider_tags,
        lambda r: {"Key": "k2", "Value": "v2"} in r["Tags"],
        OpenIDConnectProviderArn=arn,
    )
    gives("a provider is untagged", iam.untag_open_id_connect_provider, OpenIDConnectProviderArn=arn, TagKeys=["k2"])
    delete = iam.delete_open_id_connect_provider
    gives("a provider is deleted", delete, OpenIDConnectProviderArn=provider_arn(bare))
    settled("a provider that is not there is deleted", NO_ENTITY, delete, OpenIDConnectProviderArn=nowhere)
    refuses(
        "an audience of a provider that is not there", NO_ENTITY, add, OpenIDConnectProviderArn=nowhere, ClientID="x"
    )


POL1 = policy_arn("irsa/pol1")
S3_READ = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"


def policies():
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreatePolicy.html"""
    create, create_version = iam.create_policy, iam.create_policy_version
    gives(
        "a policy begins with version v1",
        create,
        lambda r: (r["Policy"]["Arn"], r["Policy"]["DefaultVersionId"]) == (POL1, "v1"),
        lambda r: r["Policy"]["PolicyId"].startswith("ANPA"),
        PolicyName="pol1",
        Path="/irsa/",
        PolicyDocument=POLICY,
        Description="d",
        Tags=[{"Key": "o", "Value": "irsa"}],
    )
    refuses("a policy twice", EXISTS, create, PolicyName="pol1", Path="/irsa/", PolicyDocument=POLICY)
    refuses("a policy twice, in another case and path", EXISTS, create, PolicyName="POL1", PolicyDocument=POLICY)
    for what, text in {
        "that is no JSON": "{nope",
        "with an effect that there is not": POLICY.replace("Allow", "Maybe"),
        "with a principal": POLICY.replace('"Action"', '"Principal":"*","Action"'),
        "with an action of no service": POLICY.replace("s3:GetObject", "GetObject"),
    }.items():
        refuses(f"a policy {what}", MALFORMED, create, PolicyName="bad", PolicyDocument=text)
    refuses("a policy above 6,144 characters", LIMIT, create, PolicyName="big", PolicyDocument=many_buckets(300))
    fits = many_buckets(200)
    gives(
        f"a policy of {counted(fits)} characters that count has white space for free",
        create,
        lambda _: len(spaced(fits)) > 6144,
        PolicyName="spaced",
        PolicyDocument=spaced(fits),
    )
    for number in range(2, 6):
        gives(
            f"version v{number} is made",
            create_version,
            lambda r, number=number: r["PolicyVersion"]["VersionId"] == f"v{number}",
            PolicyArn=POL1,
            PolicyDocument=POLICY.replace("b/*", f"b{number}/*"),
            SetAsDefault=False,
        )
    refuses("a sixth version", LIMIT, create_version, PolicyArn=POL1, PolicyDocument=POLICY)
    versions = lambda r: sorted(version["VersionId"] for version in r["Versions"])
    gives(
        "five versions are listed",
        iam.list_policy_versions,
        lambda r: versions(r) == ["v1", "v2", "v3", "v4", "v5"],
        PolicyArn=POL1,
    )
    gives(
        "lists of versions have no documents",
        iam.list_policy_versions,
        lambda r: not any("Document" in version for version in r["Versions"]),
        PolicyArn=POL1,
    )
    gives("another version is the default", iam.set_default_policy_version, PolicyArn=POL1, VersionId="v3")
    refuses(
        "a version that is not there as default",
        NO_ENTITY,
        iam.set_default_policy_version,
        PolicyArn=POL1,
        VersionId="v9",
    )
    refuses("the default version is deleted", CONFLICT, iam.delete_policy_version, PolicyArn=POL1, VersionId="v3")
    gives("a version is deleted", iam.delete_policy_version, PolicyArn=POL1, VersionId="v1")
    gives(
        "no number of a version is given out twice",
        create_version,
        lambda r: r["PolicyVersion"]["VersionId"] == "v6",
        PolicyArn=POL1,
        PolicyDocument=POLICY,
        SetAsDefault=True,
    )
    gives(
        "a version reads back as a document",
        iam.get_policy_version,
        lambda r: r["PolicyVersion"]["Document"] == json.loads(POLICY)
        and r["PolicyVersion"]["IsDefaultVersion"] is True,
        PolicyArn=POL1,
        VersionId="v6",
    )
    refuses("a policy that is not there", NO_ENTITY, iam.get_policy, PolicyArn=policy_arn("none"))
    read = gives("AWS's own policies are there", iam.get_policy, PolicyArn=S3_READ)
    gives(
        "AWS's own policies have documents",
        iam.get_policy_version,
        lambda r: "s3:Get*" in json.dumps(r["PolicyVersion"]["Document"]),
        PolicyArn=S3_READ,
        VersionId=read.get("Policy", {}).get("DefaultVersionId", "none"),
    )
    gives(
        "AWS's own policies have paths",
        iam.get_policy,
        lambda r: r["Policy"]["Path"] == "/service-role/",
        PolicyArn="arn:aws:iam::aws:policy/service-role/AmazonEBSCSIDriverPolicy",
    )
    gives(
        "the account's own policies are listed alone",
        iam.list_policies,
        lambda r: any(policy["PolicyName"] == "pol1" for policy in r["Policies"]),
        lambda r: not any("::aws:policy" in policy["Arn"] for policy in r["Policies"]),
        Scope="Local",
    )


def attachments():
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_AttachRolePolicy.html"""
    attach, detach = iam.attach_role_policy, iam.detach_role_policy
    gives("a policy of AWS's is attached", attach, RoleName="app", PolicyArn=S3_READ)
    gives("a policy is attached again", attach, RoleName="app", PolicyArn=S3_READ)
    gives("a policy of the account is attached", attach, RoleName="app", PolicyArn=POL1)
    refuses("a policy that is not there is attached", NO_ENTITY, attach, RoleName="app", PolicyArn=policy_arn("none"))
    nothing = "arn:aws:iam::aws:policy/NoSuchThing"
    refuses("a policy that AWS does not have is attached", NO_ENTITY, attach, RoleName="app", PolicyArn=nothing)
    refuses(
        "what is no ARN is attached",
        [INPUT, VALIDATION],
        attach,
        RoleName="app",
        PolicyArn="not-an-arn-but-long-enough",
    )
    refuses("a policy is attached to no role", NO_ENTITY, attach, RoleName="none", PolicyArn=S3_READ)
    names = lambda r: sorted(policy["PolicyName"] for policy in r["AttachedPolicies"])
    listed = iam.list_attached_role_policies
    gives(
        "attached policies are listed", listed, lambda r: names(r) == ["AmazonS3ReadOnlyAccess", "pol1"], RoleName="app"
    )
    gives(
        "attached policies are listed by path",
        listed,
        lambda r: names(r) == ["pol1"],
        RoleName="app",
        PathPrefix="/irsa/",
    )
    for index in range(10):
        quietly(iam.create_policy, PolicyName=f"lim{index}", PolicyDocument=POLICY)
    for index in range(8):
        quietly(attach, RoleName="app", PolicyArn=policy_arn(f"lim{index}"))
    gives("ten policies are attached", listed, lambda r: len(names(r)) == 10, RoleName="app")
    refuses("an eleventh policy is attached", LIMIT, attach, RoleName="app", PolicyArn=policy_arn("lim9"))
    for index in range(8):
        quietly(detach, RoleName="app", PolicyArn=policy_arn(f"lim{index}"))
    refuses("what is not attached is detached", NO_ENTITY, detach, RoleName="app", PolicyArn=policy_arn("lim9"))
    gives(
        "a policy counts its attachments and its uses as boundary",
        iam.get_policy,
        lambda r: (r["Policy"]["AttachmentCount"], r["Policy"]["PermissionsBoundaryUsageCount"]) == (1, 1),
        PolicyArn=POL1,
    )
    gives(
        "a policy's users are listed",
        iam.list_entities_for_policy,
        lambda r: [role["RoleName"] for role in r["PolicyRoles"]] == ["app"],
        PolicyArn=POL1,
    )
    used = policy_arn("used")
    quietly(iam.create_policy, PolicyName="used", PolicyDocument=POLICY)
    quietly(attach, RoleName="app", PolicyArn=used)
    refuses("a policy that is attached is deleted", CONFLICT, iam.delete_policy, PolicyArn=used)
    quietly(detach, RoleName="app", PolicyArn=used)
    gives("a policy that is no more attached is deleted", iam.delete_policy, PolicyArn=used)


def inline_policies():
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutRolePolicy.html"""
    put, get = iam.put_role_policy, iam.get_role_policy
    gives("an inline policy is put", put, RoleName="app", PolicyName="in1", PolicyDocument=POLICY)
    refuses("an inline policy that is no JSON", MALFORMED, put, RoleName="app", PolicyName="in2", PolicyDocument="{no")
    maybe = POLICY.replace("Allow", "Maybe")
    refuses(
        "an inline policy with an effect that there is not",
        MALFORMED,
        put,
        RoleName="app",
        PolicyName="in3",
        PolicyDocument=maybe,
    )
    refuses(
        "an inline policy above 10,240 characters",
        LIMIT,
        put,
        RoleName="app",
        PolicyName="in4",
        PolicyDocument=many_buckets(450),
    )
    half = many_buckets(220)
    gives(
        "an inline policy has white space for free", put, RoleName="app", PolicyName="half", PolicyDocument=spaced(half)
    )
    refuses(
        "inline policies above 10,240 characters together",
        LIMIT,
        put,
        RoleName="app",
        PolicyName="other",
        PolicyDocument=half,
    )
    gives(
        "an inline policy does not count twice when it is put again",
        put,
        RoleName="app",
        PolicyName="half",
        PolicyDocument=half,
    )
    quietly(iam.delete_role_policy, RoleName="app", PolicyName="half")
    gives(
        "an inline policy reads back",
        get,
        lambda r: r["PolicyDocument"] == json.loads(POLICY),
        RoleName="app",
        PolicyName="in1",
    )
    refuses("an inline policy that is not there", NO_ENTITY, get, RoleName="app", PolicyName="zzz")
    gives("inline policies are listed", iam.list_role_policies, lambda r: r["PolicyNames"] == ["in1"], RoleName="app")
    refuses("a role with policies is deleted", CONFLICT, iam.delete_role, RoleName="app")


def boundaries():
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutRolePermissionsBoundary.html"""
    put, delete = iam.put_role_permissions_boundary, iam.delete_role_permissions_boundary
    gives("a boundary is taken away", delete, RoleName="app")
    gives("a boundary is gone", the_role, lambda r: "PermissionsBoundary" not in r, name="app")
    settled("a boundary is taken away again", NO_ENTITY, delete, RoleName="app")
    gives("a boundary is put", put, RoleName="app", PermissionsBoundary=POL1)
    refuses(
        "a boundary that is not there is put", NO_ENTITY, put, RoleName="app", PermissionsBoundary=policy_arn("none")
    )
    quietly(iam.create_policy, PolicyName="bound", PolicyDocument=POLICY)
    quietly(put, RoleName="pg6", PermissionsBoundary=policy_arn("bound"))
    refuses("a policy that is a boundary is deleted", CONFLICT, iam.delete_policy, PolicyArn=policy_arn("bound"))
