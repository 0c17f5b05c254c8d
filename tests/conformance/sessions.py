"""STS: becoming someone else, by trust policy and by token."""

import base64
import json
import time

from ask import (
    ACCOUNT,
    BAD_TOKEN,
    DENIED,
    FOURTH,
    ISSUER,
    THIRD,
    VALIDATION,
    aws_trust,
    client,
    document,
    gives,
    iam,
    make_role,
    provider_arn,
    quietly,
    refuses,
    role_arn,
    sts,
)


def sessions():
    """https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html"""

    def assume(arn, name="sess", **fields):
        return sts.assume_role(RoleArn=arn, RoleSessionName=name, **fields)

    quietly(make_role, name="self", trust=aws_trust(f"arn:aws:iam::{ACCOUNT}:root"))
    session = gives(
        "a role that trusts its own account is assumed",
        assume,
        lambda r: r["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/self/sess",
        lambda r: r["Credentials"]["AccessKeyId"].startswith("ASIA"),
        arn=role_arn("self"),
    ).get("Credentials", {})
    inside = client("sts", session.get("AccessKeyId"), session.get("SecretAccessKey"), session.get("SessionToken"))
    gives(
        "a session is told who it is",
        inside.get_caller_identity,
        lambda r: r["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/self/sess" and r["UserId"].endswith(":sess"),
    )
    refuses("a role that trusts another account alone is assumed", DENIED, assume, arn=role_arn("acct"))
    refuses("a role that does not trust the caller is assumed", DENIED, assume, arn=role_arn("page/pg0"))
    refuses("a role that is not there is assumed", DENIED, assume, arn=role_arn("doesnotexist"))
    refuses("a session longer than any role's", VALIDATION, assume, arn=role_arn("self"), DurationSeconds=50_000)
    refuses("a session longer than the role's", VALIDATION, assume, arn=role_arn("self"), DurationSeconds=40_000)
    refuses("a session with a name of one letter", VALIDATION, assume, arn=role_arn("self"), name="s")
    refuses("a role of an account that nobody has is assumed", DENIED, assume, arn=f"arn:aws:iam::{THIRD}:role/x")
    guarded = aws_trust(ACCOUNT, Condition={"StringEquals": {"sts:ExternalId": "secret"}})
    quietly(make_role, name="guarded", trust=guarded)
    refuses("a role with an external id is assumed without", DENIED, assume, arn=role_arn("guarded"))
    gives("a role with an external id is assumed with it", assume, arn=role_arn("guarded"), ExternalId="secret")
    fourth = client("sts", key=FOURTH)
    gives("a key of twelve digits is that account", fourth.get_caller_identity, lambda r: r["Account"] == FOURTH)


def encoded(value):
    return (
        base64.urlsafe_b64encode(value if isinstance(value, bytes) else json.dumps(value).encode()).decode().rstrip("=")
    )


def forged(claims):
    """A token whose signature nobody made."""
    header = {"alg": "RS256", "kid": "1", "typ": "JWT"}
    return f"{encoded(header)}.{encoded(claims)}.{encoded(b'x' * 256)}"


def become(token, arn=role_arn("web")):
    return sts.assume_role_with_web_identity(RoleArn=arn, RoleSessionName="sess", WebIdentityToken=token)


def web_identity():
    """https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html"""

    quietly(make_role, name="web")
    now = int(time.time())
    good = {
        "iss": ISSUER,
        "sub": "system:serviceaccount:default:app",
        "aud": ["sts.amazonaws.com"],
        "exp": now + 3600,
        "iat": now,
    }
    expired = ("ExpiredTokenException", 400)
    refuses("a token that is none", BAD_TOKEN, become, token="garbage")
    refuses("a forged token", BAD_TOKEN, become, token=forged(good))
    other = {**good, "sub": "system:serviceaccount:default:other"}
    refuses("a forged token of another ServiceAccount", [DENIED, BAD_TOKEN], become, token=forged(other))
    refuses("a forged token for another audience", [BAD_TOKEN, DENIED], become, token=forged({**good, "aud": ["nope"]}))
    refuses("a forged token that expired", [expired, BAD_TOKEN], become, token=forged({**good, "exp": 1}))
    stranger = {**good, "iss": "https://other.example.com"}
    refuses("a token of an issuer that has no provider", BAD_TOKEN, become, token=forged(stranger))
    refuses(
        "a token for a role that is not there", [DENIED, BAD_TOKEN], become, token=forged(good), arn=role_arn("none")
    )


def signed_tokens(tokens):
    """Tokens that the issuer of a running cluster signed."""
    issuer, audience, subject = tokens["issuer"], tokens["audience"], tokens["subject"]
    host_path = issuer.removeprefix("https://")
    condition = {"StringEquals": {f"{host_path}:sub": subject, f"{host_path}:aud": audience}}
    trust = document(
        {
            "Effect": "Allow",
            "Principal": {"Federated": provider_arn(host_path)},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": condition,
        }
    )
    quietly(make_role, name="pod", trust=trust)
    pod, good = role_arn("pod"), tokens["good"]
    refuses("a signed token whose issuer has no provider yet", BAD_TOKEN, become, token=good, arn=pod)
    quietly(iam.create_open_id_connect_provider, Url=issuer, ClientIDList=[audience])
    gives(
        "a signed token opens the role that trusts it",
        become,
        lambda r: (r["SubjectFromWebIdentityToken"], r["Audience"]) == (subject, audience),
        lambda r: r["Provider"] == provider_arn(host_path),
        token=good,
        arn=pod,
    )
    refuses("a signed token of another ServiceAccount", DENIED, become, token=tokens["other-subject"], arn=pod)
    refuses("a signed token for another audience", BAD_TOKEN, become, token=tokens["other-audience"], arn=pod)
    refuses("a signed token that expired", ("ExpiredTokenException", 400), become, token=tokens["expired"], arn=pod)
    refuses("a signed token for a role that trusts another issuer", DENIED, become, token=good, arn=role_arn("web"))
    head, claims, signature = good.split(".")
    changed = encoded(
        {**json.loads(base64.urlsafe_b64decode(claims + "==")), "sub": "system:serviceaccount:default:root"}
    )
    refuses(
        "a signed token whose claims were changed", BAD_TOKEN, become, token=f"{head}.{changed}.{signature}", arn=pod
    )
    unsigned = encoded({"alg": "none", "typ": "JWT"})
    refuses("a token that says it needs no signature", BAD_TOKEN, become, token=f"{unsigned}.{claims}.", arn=pod)
