"""Asks an empty IAM, STS and EKS, with boto3, whether they are as AWS documents them.

    aws_probe.py ENDPOINT [TOKENS.json]

One line a check, `ok` or `FAIL` first and its own words after, and last a line `N of M checks`. What a check expects
is AWS's, from the API references and user guides; where AWS is known to answer in more than one way, all of them are
listed. The file TOKENS.json has tokens that a cluster's issuer signed, and lets their checks be made; without it they
are left out. Nothing is taken away afterwards: the account is to be thrown away.

This program may know boto3 and the wire, and nothing of the server that it asks.
"""

import json
import sys

import ask
import clusters
import policies
import roles
import sessions

# The order matters: later checks stand on what earlier ones made.
SECTIONS = [
    policies.providers,
    policies.policies,
    roles.new_roles,
    roles.trust_policies,
    roles.role_reads,
    roles.wire,
    roles.role_lists,
    roles.role_changes,
    policies.attachments,
    policies.inline_policies,
    policies.boundaries,
    roles.details,
    roles.deletions,
    clusters.clusters,
    clusters.associations,
    clusters.addons,
    sessions.sessions,
    sessions.web_identity,
]

for section in SECTIONS:
    section()
if len(sys.argv) > 2:
    with open(sys.argv[2], encoding="utf-8") as file:
        sessions.signed_tokens(json.load(file))
print(f"{ask.made - ask.failed} of {ask.made} checks")
sys.exit(1 if ask.failed else 0)
