//! A configuration of any size: roles with ServiceAccounts, an inline and an attached policy each, over several files,
//! accounts and clusters. The same numbers give the same bytes.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// How much is declared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fleet {
    pub roles: usize,
    /// The number of ServiceAccounts of each role.
    pub service_accounts: usize,
    /// The number of clusters, at least one for each account.
    pub clusters: usize,
    pub accounts: usize,
    /// Whether the configuration declares no account: irsa then uses the account of its credentials.
    pub ambient: bool,
    /// The number of files that the top file includes, one for each team.
    pub files: usize,
    /// Whether two of three roles attach a customer managed policy of their team. The others attach an AWS managed
    /// policy.
    pub customer_policies: bool,
}

impl Fleet {
    /// This many roles with five ServiceAccounts each: 250 in a file, 100 in a cluster, 1,000 in an account.
    pub(crate) fn of(roles: usize) -> Self {
        let per = |share: usize| roles.div_ceil(share).max(1);
        Self {
            roles,
            service_accounts: 5,
            clusters: per(100),
            accounts: per(1000),
            ambient: false,
            files: per(250),
            customer_policies: true,
        }
    }

    /// Name and text of every file, the top file first.
    pub(crate) fn texts(&self) -> Vec<(String, String)> {
        let mut texts = vec![("irsa.toml".to_owned(), self.top())];
        for team in 0..self.files {
            texts.push((format!("teams/team-{team:03}.toml"), self.team(team)));
            texts.push((format!("teams/policies/team-{team:03}.json"), table_policy(team)));
        }
        texts
    }

    /// Writes the files into a folder. Returns the path of the top file.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub(crate) fn write(&self, folder: &Path) -> io::Result<PathBuf> {
        fs::create_dir_all(folder.join("teams/policies"))?;
        for (name, text) in self.texts() {
            #[expect(clippy::disallowed_methods, reason = "a configuration to measure with, in a folder of its own")]
            fs::write(folder.join(name), text)?;
        }
        Ok(folder.join("irsa.toml"))
    }

    fn top(&self) -> String {
        let mut text = String::from(
            "owner = \"fleet\"\ninclude = [\"teams/*.toml\"]\n\n[defaults.role]\ntags = { managed = \"irsa\", cost = \"fleet\" }\n",
        );
        let declared = if self.ambient { 0 } else { self.accounts };
        for account in 0..declared {
            let id = account_id(account);
            let _ = write!(text, "\n[accounts.account-{account:02}]\nid = \"{id}\"\n");
            if account > 0 {
                let _ = writeln!(text, "assume-role = \"arn:aws:iam::{id}:role/OrganizationAccountAccessRole\"");
            }
        }
        for cluster in 0..self.clusters {
            let _ = write!(text, "\n[clusters.cluster-{cluster:04}]\nregion = \"eu-west-1\"\n");
            if declared > 0 {
                let _ = writeln!(text, "account = \"account-{:02}\"", cluster % declared);
            }
        }
        text
    }

    /// One team has its roles in the clusters of one account.
    fn team(&self, team: usize) -> String {
        let account = team % self.accounts;
        let clusters = self.clusters / self.accounts;
        let mut text = String::new();
        if self.customer_policies {
            let _ = write!(
                text,
                "[policies.team-{team:03}-table]\nfile = \"policies/team-{team:03}.json\"\n\n\
                 [policies.team-{team:03}-keys]\nstatements = [\n  {{ actions = [\"kms:Decrypt\", \"kms:DescribeKey\"], \
                 resources = [\"arn:{{{{ partition }}}}:kms:eu-west-1:{{{{ account_id }}}}:key/team-{team:03}\"] }},\n]\n"
            );
        }
        for number in (team..self.roles).step_by(self.files) {
            let cluster = account + self.accounts * (number / self.files % clusters.max(1));
            self.role(&mut text, team, number, cluster);
        }
        text
    }

    fn role(&self, text: &mut String, team: usize, number: usize, cluster: usize) {
        let choice = if self.customer_policies { number / self.files % 3 } else { 0 };
        let attached = ["aws:AmazonSQSReadOnlyAccess", "team-000-table", "team-000-keys"][choice];
        let attached = attached.replace("000", &format!("{team:03}"));
        let _ = write!(
            text,
            "\n[roles.role-{number:05}]\ndescription = \"worker {number} of team {team}\"\n\
             cluster = \"cluster-{cluster:04}\"\nattach = [\"{attached}\"]\ntags = {{ team = \"team-{team:03}\" }}\n\
             service-accounts = ["
        );
        // ServiceAccount 0 is written in the long form below
        for account in 1..self.service_accounts {
            let _ = write!(text, "\n  \"team-{team:03}/worker-{number:05}-{account}\",");
        }
        let _ = write!(
            text,
            "\n]\n\n[roles.role-{number:05}.inline.queue]\nstatements = [\n  \
             {{ actions = [\"sqs:SendMessage\", \"sqs:GetQueueUrl\"], \
             resources = [\"arn:{{{{ partition }}}}:sqs:{{{{ region }}}}:{{{{ account_id }}}}:queue-{number:05}\"] }},\n  \
             {{ actions = [\"s3:GetObject\"], resources = [\"arn:aws:s3:::team-{team:03}/{number:05}/*\"], \
             conditions = {{ Bool = {{ \"aws:SecureTransport\" = true }} }} }},\n]\n"
        );
        if self.service_accounts > 0 {
            // every tenth role names its cluster by a glob
            let key =
                if number.is_multiple_of(10) { format!("c*-{cluster:04}") } else { format!("cluster-{cluster:04}") };
            let _ = write!(
                text,
                "\n[[service-accounts]]\nrole = \"role-{number:05}\"\ncluster = \"{key}\"\nnamespace = \"team-{team:03}\"\n\
                 name = \"worker-{number:05}-0\"\ntoken-expiration = \"1h\"\n"
            );
        }
    }
}

/// The id of an account by its number.
pub(crate) fn account_id(number: usize) -> String {
    (100_000_000_001 + number).to_string()
}

fn table_policy(team: usize) -> String {
    format!(
        r#"{{
  "Version": "2012-10-17",
  "Statement": [
    {{
      "Sid": "ReadTheTable",
      "Effect": "Allow",
      "Action": ["dynamodb:GetItem", "dynamodb:Query", "dynamodb:BatchGetItem"],
      "Resource": "arn:{{{{ partition }}}}:dynamodb:eu-west-1:{{{{ account_id }}}}:table/team-{team:03}"
    }}
  ]
}}
"#
    )
}
