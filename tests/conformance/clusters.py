"""Clusters, pod identity associations and add-ons."""

import re

from ask import (
    ACCOUNT,
    EKS_IN_USE,
    EKS_NONE,
    EKS_PARAMETER,
    EKS_REQUEST,
    POLICY,
    REGION,
    THIRD,
    client,
    eks,
    gives,
    holds,
    quietly,
    refuses,
    role_arn,
)

CLUSTER = {"roleArn": role_arn("acct"), "resourcesVpcConfig": {"subnetIds": ["subnet-1", "subnet-2"]}}


def clusters():
    """https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateCluster.html"""
    create = eks.create_cluster
    gives(
        "a new cluster is CREATING, with no issuer yet",
        create,
        lambda r: r["cluster"]["status"] == "CREATING" and "identity" not in r["cluster"],
        name="c1",
        version="1.31",
        tags={"t": "1"},
        accessConfig={"authenticationMode": "API"},
        **CLUSTER,
    )
    gives(
        "a cluster is waited for", lambda: eks.get_waiter("cluster_active").wait(name="c1", WaiterConfig={"Delay": 0})
    )
    shown = gives(
        "a cluster is described", eks.describe_cluster, lambda r: r["cluster"]["status"] == "ACTIVE", name="c1"
    )
    cluster = shown.get("cluster", {})
    issuer = cluster.get("identity", {}).get("oidc", {}).get("issuer", "")
    form = r"https://oidc\.eks\.us-east-1\.amazonaws\.com/id/[0-9A-F]{32}"
    holds("an issuer is of EKS's form", re.fullmatch(form, issuer) is not None, issuer)
    holds(
        "a cluster has its authority's certificate", bool(cluster.get("certificateAuthority", {}).get("data")), cluster
    )
    holds("a cluster has its endpoint", cluster.get("endpoint", "").startswith("https://"), cluster)
    holds(
        "a cluster has its way of access", cluster.get("accessConfig", {}).get("authenticationMode") == "API", cluster
    )
    holds("a cluster has its ARN", cluster.get("arn") == f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/c1", cluster)
    refuses("a cluster twice", EKS_IN_USE, create, name="c1", **CLUSTER)
    refuses("a cluster with a space in its name", EKS_PARAMETER, create, name="bad name", **CLUSTER)
    refuses("a cluster that is not there", EKS_NONE, eks.describe_cluster, name="none")
    for name in ("c2", "c3", "c4"):
        quietly(create, name=name, **CLUSTER)
    gives("clusters are listed", eks.list_clusters, lambda r: sorted(r["clusters"]) == ["c1", "c2", "c3", "c4"])
    gives(
        "a first page has two clusters and a token",
        eks.list_clusters,
        lambda r: len(r["clusters"]) == 2 and bool(r["nextToken"]),
        maxResults=2,
    )
    elsewhere = client("eks", region="ap-southeast-2")
    gives("a region does not see another's clusters", elsewhere.list_clusters, lambda r: r["clusters"] == [])
    gives(
        "an issuer stays",
        eks.describe_cluster,
        lambda r: r["cluster"]["identity"]["oidc"]["issuer"] == issuer,
        name="c1",
    )


POD_ROLE = role_arn("pg0")
ASSOCIATION = {
    "associationArn",
    "associationId",
    "clusterName",
    "createdAt",
    "disableSessionTags",
    "modifiedAt",
    "namespace",
    "roleArn",
    "serviceAccount",
    "tags",
}


def associations():
    """https://docs.aws.amazon.com/eks/latest/APIReference/API_PodIdentityAssociation.html"""

    def create(account="sa1", namespace="ns1", cluster="c1", role=POD_ROLE, **fields):
        return eks.create_pod_identity_association(
            clusterName=cluster, namespace=namespace, serviceAccount=account, roleArn=role, **fields
        )

    one = gives(
        "an association has every field, and no other",
        create,
        lambda r: set(r["association"]) == ASSOCIATION,
        lambda r: r["association"]["tags"] == {"a": "b"} and r["association"]["disableSessionTags"] is False,
        tags={"a": "b"},
    ).get("association", {})
    identity = one.get("associationId", "a-none")
    arn = f"arn:aws:eks:{REGION}:{ACCOUNT}:podidentityassociation/c1/{identity}"
    holds("an association's id is of EKS's form", re.fullmatch("a-[a-z0-9]{17}", identity) is not None, identity)
    holds("an association's ARN has its cluster", one.get("associationArn") == arn, one)
    refuses("an association of a ServiceAccount that has one", EKS_IN_USE, create)
    refuses("an association of a cluster that is not there", EKS_NONE, create, cluster="none")
    refuses(
        "an association with a role that is not there",
        [EKS_PARAMETER, EKS_NONE, EKS_REQUEST],
        create,
        account="sa9",
        role=role_arn("none"),
    )
    target = f"arn:aws:iam::{THIRD}:role/t"
    far = gives(
        "an association with a target role has an external id",
        create,
        lambda r: r["association"]["targetRoleArn"] == target and r["association"]["disableSessionTags"] is True,
        lambda r: bool(r["association"]["externalId"]),
        account="sa2",
        targetRoleArn=target,
        disableSessionTags=True,
        clientRequestToken="once",
    ).get("association", {})
    gives(
        "the same request by its token is answered as the first",
        create,
        lambda r: r["association"] == far,
        account="sa2",
        targetRoleArn=target,
        disableSessionTags=True,
        clientRequestToken="once",
    )
    gives(
        "an association with a policy keeps it",
        create,
        lambda r: r["association"]["policy"] == POLICY,
        account="sa3",
        disableSessionTags=True,
        policy=POLICY,
    )
    refuses("an association with a policy and session tags", EKS_PARAMETER, create, account="sa4", policy=POLICY)
    quietly(create, namespace="ns2")
    listed = eks.list_pod_identity_associations
    gives("associations are listed", listed, lambda r: len(r["associations"]) == 4, clusterName="c1")
    gives(
        "lists of associations have no roles",
        listed,
        lambda r: not any("roleArn" in association for association in r["associations"]),
        clusterName="c1",
    )
    gives(
        "associations are listed by namespace",
        listed,
        lambda r: len(r["associations"]) == 1,
        clusterName="c1",
        namespace="ns2",
    )
    gives(
        "associations are listed by ServiceAccount",
        listed,
        lambda r: len(r["associations"]) == 1,
        clusterName="c1",
        namespace="ns1",
        serviceAccount="sa2",
    )
    gives(
        "a first page has two associations and a token",
        listed,
        lambda r: len(r["associations"]) == 2 and bool(r["nextToken"]),
        clusterName="c1",
        maxResults=2,
    )
    this = {"clusterName": "c1", "associationId": identity}
    describe, update = eks.describe_pod_identity_association, eks.update_pod_identity_association
    gives("an association is described", describe, lambda r: r["association"]["roleArn"] == POD_ROLE, **this)
    gives(
        "an association gets another role",
        update,
        lambda r: r["association"]["roleArn"] == role_arn("pg1"),
        roleArn=role_arn("pg1"),
        **this,
    )
    refuses("an association gets a policy, with session tags", EKS_PARAMETER, update, policy=POLICY, **this)
    refuses(
        "an association that is not there is updated",
        EKS_NONE,
        update,
        clusterName="c1",
        associationId="a-zzzzzzzzzzzzzzzzz",
        roleArn=POD_ROLE,
    )
    quietly(eks.tag_resource, resourceArn=arn, tags={"x": "y"})
    gives("an association is tagged by its ARN", describe, lambda r: r["association"]["tags"]["x"] == "y", **this)
    delete = eks.delete_pod_identity_association
    gives("an association is deleted", delete, lambda r: r["association"]["associationId"] == identity, **this)
    refuses("an association is deleted again", EKS_NONE, delete, **this)


def addons():
    """https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateAddon.html"""
    create, describe, update = eks.create_addon, eks.describe_addon, eks.update_addon
    agent, network = "eks-pod-identity-agent", "vpc-cni"
    gives("an add-on is made", create, clusterName="c1", addonName=agent, serviceAccountRoleArn=POD_ROLE)
    made_one = gives(
        "an add-on makes its associations",
        create,
        lambda r: len(r["addon"]["podIdentityAssociations"]) == 1,
        clusterName="c1",
        addonName=network,
        podIdentityAssociations=[{"serviceAccount": "aws-node", "roleArn": POD_ROLE}],
    ).get("addon", {})
    waiter = lambda: eks.get_waiter("addon_active").wait(clusterName="c1", addonName=network, WaiterConfig={"Delay": 0})
    gives("an add-on is waited for", waiter)
    gives(
        "an add-on is described",
        describe,
        lambda r: (r["addon"]["serviceAccountRoleArn"], r["addon"]["status"]) == (POD_ROLE, "ACTIVE"),
        clusterName="c1",
        addonName=agent,
    )
    gives("add-ons are listed", eks.list_addons, lambda r: sorted(r["addons"]) == [agent, network], clusterName="c1")
    owned = {"clusterName": "c1", "namespace": "kube-system"}
    listed = eks.list_pod_identity_associations
    found = gives(
        "an add-on owns its associations",
        listed,
        lambda r: [one["ownerArn"] for one in r["associations"]] == [made_one["addonArn"]],
        **owned,
    ).get("associations", [{}])
    this = {"clusterName": "c1", "associationId": (found or [{}])[0].get("associationId", "a-none")}
    refuses(
        "an add-on's association is deleted past it",
        [EKS_REQUEST, EKS_IN_USE],
        eks.delete_pod_identity_association,
        **this,
    )
    refuses(
        "an add-on's association is updated past it",
        [EKS_REQUEST, EKS_IN_USE],
        eks.update_pod_identity_association,
        roleArn=role_arn("pg1"),
        **this,
    )
    gives(
        "an add-on gets another association in place of its own",
        update,
        lambda r: r["update"]["type"] == "AddonUpdate",
        clusterName="c1",
        addonName=network,
        podIdentityAssociations=[{"serviceAccount": "aws-node", "roleArn": role_arn("pg1")}],
    )
    gives(
        "an association that an add-on was given is read",
        lambda: [
            eks.describe_pod_identity_association(clusterName="c1", associationId=one["associationId"])["association"]
            for one in listed(**owned)["associations"]
        ],
        lambda all_of_them: [one["roleArn"] for one in all_of_them] == [role_arn("pg1")],
    )
    quietly(update, clusterName="c1", addonName=network, podIdentityAssociations=[])
    gives("an add-on lets its associations go", listed, lambda r: r["associations"] == [], **owned)
    refuses("an add-on that is not there is updated", EKS_NONE, update, clusterName="c1", addonName="coredns")
    gives("a cluster is deleted", eks.delete_cluster, lambda r: r["cluster"]["status"] == "DELETING", name="c2")
