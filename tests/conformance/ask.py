"""How the probe asks: the clients, the two kinds of checks, and the names of what is made.

A check is one line: `ok` or `FAIL` and its own words. What is needed between checks is done quietly; the check that
stands on it tells.
"""

import json
import re
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

ENDPOINT = sys.argv[1]
REGION = "us-east-1"
# The client's own checks would keep the wrong requests from being sent, and its retries would hide errors.
CONFIG = Config(
    retries={"max_attempts": 1, "mode": "standard"}, read_timeout=30, connect_timeout=5, parameter_validation=False
)

# What is refused, and with which status.
NO_ENTITY = ("NoSuchEntity", 404)
EXISTS = ("EntityAlreadyExists", 409)
CONFLICT = ("DeleteConflict", 409)
LIMIT = ("LimitExceeded", 409)
MALFORMED = ("MalformedPolicyDocument", 400)
VALIDATION = ("ValidationError", 400)
INPUT = ("InvalidInput", 400)
DENIED = ("AccessDenied", 403)
BAD_TOKEN = ("InvalidIdentityToken", 400)
EKS_NONE = ("ResourceNotFoundException", 404)
EKS_IN_USE = ("ResourceInUseException", 409)
EKS_PARAMETER = ("InvalidParameterException", 400)
EKS_REQUEST = ("InvalidRequestException", 400)


def client(service, key="test", secret="test", token=None, region=REGION):
    return boto3.client(
        service,
        endpoint_url=ENDPOINT,
        region_name=region,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=CONFIG,
    )


iam, eks, sts = client("iam"), client("eks"), client("sts")

made = failed = 0


def holds(title, truth, seen=None):
    """A check by itself."""
    global made, failed
    made += 1
    if truth is True:
        print("ok  ", title)
    else:
        failed += 1
        print("FAIL", f"{title}: saw {json.dumps(seen, default=str)[:600]}")


def attempt(call, /, **fields):
    """What comes of a call: the answer and None, or None and the refusal."""
    try:
        answer = call(**fields)
        if isinstance(answer, dict):
            answer.pop("ResponseMetadata", None)
        return answer, None
    except ClientError as error:
        told = error.response["Error"]
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        return None, (told.get("Code"), status, told.get("Message", "")[:300])


def gives(title, call, /, *tests, **fields):
    """The call is answered, and the answer passes all tests; returns the answer, or {} where there is none."""
    answer, refusal = attempt(call, **fields)
    if refusal:
        holds(title, False, refusal)
        return {}
    try:
        holds(title, all(test(answer) for test in tests), answer)
    except (KeyError, IndexError, TypeError) as error:
        holds(title, False, [repr(error), answer])
    return answer


def refuses(title, expected, call, /, **fields):
    """The call is refused with this code and status, or with one of several."""
    answer, refusal = attempt(call, **fields)
    wanted = expected if isinstance(expected, list) else [expected]
    holds(
        f"{title} -> {' or '.join(code for code, _ in wanted)}",
        bool(refusal) and refusal[:2] in wanted,
        refusal or answer,
    )


def settled(title, expected, call, /, **fields):
    """The call is answered, or refused in this way: AWS is known to do either."""
    _, refusal = attempt(call, **fields)
    holds(f"{title} -> an answer or {expected[0]}", refusal is None or refusal[:2] == expected, refusal)


def quietly(call, /, **fields):
    """Something that a later check stands on; that check tells whether it worked."""
    return attempt(call, **fields)[0]


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


ACCOUNT = gives(
    "GetCallerIdentity", sts.get_caller_identity, lambda r: re.fullmatch(r"\d{12}", r["Account"]) is not None
)
ACCOUNT = ACCOUNT.get("Account", "000000000000")
# Accounts that nothing was ever asked of.
OTHER, THIRD, FOURTH = "999988887777", "222222222222", "333333333333"

ISSUER = "https://oidc.eks.us-east-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE"
HOST_PATH = ISSUER.removeprefix("https://")
THUMBPRINT = "9e99a48a9960b14926bb7f3b02e22da2b0ab7280"
ALLOW = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}
POLICY = document(ALLOW)


def provider_arn(host_path):
    return f"arn:aws:iam::{ACCOUNT}:oidc-provider/{host_path}"


def policy_arn(name):
    return f"arn:aws:iam::{ACCOUNT}:policy/{name}"


def role_arn(name):
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


def web_trust(like=None):
    """A ServiceAccount's trust policy, with one more condition of any length where it is wanted."""
    condition = {
        "StringEquals": {
            f"{HOST_PATH}:sub": "system:serviceaccount:default:app",
            f"{HOST_PATH}:aud": "sts.amazonaws.com",
        }
    }
    if like:
        condition["StringLike"] = {"x:sub": like}
    return document(
        {
            "Effect": "Allow",
            "Principal": {"Federated": provider_arn(HOST_PATH)},
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Condition": condition,
        }
    )


def aws_trust(principal, action="sts:AssumeRole", **more):
    return document({"Effect": "Allow", "Principal": {"AWS": principal}, "Action": action, **more})


def many_buckets(count):
    return document({**ALLOW, "Resource": [f"arn:aws:s3:::bucket-{index:04d}/*" for index in range(count)]})


def spaced(text):
    """The same policy with as much white space as there is room for."""
    return json.dumps(json.loads(text), indent=60)


def counted(text):
    return len(re.sub(r"\s", "", text))


def make_role(name, trust=None, **fields):
    return iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust or web_trust(), **fields)


def the_role(name):
    return iam.get_role(RoleName=name)["Role"]


def principal_of(name):
    return the_role(name)["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["AWS"]


def tags(count):
    return [{"Key": f"k{index}", "Value": "v"} for index in range(count)]
