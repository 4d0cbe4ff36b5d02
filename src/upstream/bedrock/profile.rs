//! A profile of a credentials file (`~/.aws/credentials`): sections in brackets, keys and values.

use super::credentials::AwsCredentials;

/// Returns the access key of the profile of that name in the text of a credentials file.
///
/// # Errors
/// When there is no such profile, or it has no access key. Says nothing of what the file holds.
pub(super) fn credentials_of_profile(text: &str, profile: &str) -> Result<AwsCredentials, String> {
    let section = section(text, profile).ok_or_else(|| format!("the credentials file has no profile `{profile}`"))?;
    let value = |wanted: &str| {
        let pairs = section.iter().filter_map(|line| line.split_once('='));
        let mut found = pairs.filter(|(key, _)| key.trim().eq_ignore_ascii_case(wanted));
        found.next_back().map(|(_, value)| value.trim().to_owned())
    };
    let wanted = |key: &str| value(key).ok_or_else(|| format!("the profile `{profile}` has no `{key}`"));
    let credentials = AwsCredentials {
        id: wanted("aws_access_key_id")?,
        secret: wanted("aws_secret_access_key")?,
        session_token: value("aws_session_token"),
    };
    credentials.checked()
}

/// Returns the lines of a section, comments apart.
fn section<'t>(text: &'t str, profile: &str) -> Option<Vec<&'t str>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';']));
    let mut rest = lines.skip_while(|line| name_of(line) != Some(profile));
    rest.next()?;
    Some(rest.take_while(|line| name_of(line).is_none()).collect())
}

/// Returns the profile that a line begins; in a file of settings it may be called `profile NAME`.
fn name_of(line: &str) -> Option<&str> {
    let name = line.strip_prefix('[')?.split(']').next()?.trim();
    Some(name.strip_prefix("profile ").map_or(name, str::trim))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# ours
[default]
aws_access_key_id = AKID1
aws_secret_access_key=abc/def+ghi=

[profile second] ; of the team
AWS_ACCESS_KEY_ID = AKID2
aws_secret_access_key = s2
aws_session_token = t2
[empty]
region = eu-west-1
";

    #[test]
    fn a_profile_s_key_is_read_and_no_other_s() {
        let first = credentials_of_profile(FILE, "default").expect("a profile");
        let second = credentials_of_profile(FILE, "second").expect("a profile");

        assert_eq!((&*first.id, &*first.secret, first.session_token), ("AKID1", "abc/def+ghi=", None));
        assert_eq!((&*second.id, second.session_token.as_deref()), ("AKID2", Some("t2")));
        assert_eq!(
            credentials_of_profile(FILE, "none").expect_err("none"),
            "the credentials file has no profile `none`"
        );
        assert!(credentials_of_profile(FILE, "empty").expect_err("empty").ends_with("has no `aws_access_key_id`"));
    }
}
