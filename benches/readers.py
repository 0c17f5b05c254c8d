"""Reads roles as short boto3 scripts do: `one-by-one FILE`, or in `bulk`. FILE has a name a line."""

import sys

import boto3

iam = boto3.client("iam")


def one_by_one(names):
    for name in names:
        iam.get_role(RoleName=name)
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            iam.get_role_policy(RoleName=name, PolicyName=policy)
        iam.list_attached_role_policies(RoleName=name)
    return len(names)


def bulk(names):
    wanted, found = set(names), 0
    pages = iam.get_paginator("get_account_authorization_details").paginate(
        Filter=["Role"], PaginationConfig={"PageSize": 1000}
    )
    for page in pages:
        found += sum(role["RoleName"] in wanted for role in page["RoleDetailList"])
    return found


with open(sys.argv[2], encoding="utf-8") as file:
    roles = file.read().split()
print({"one-by-one": one_by_one, "bulk": bulk}[sys.argv[1]](roles))
