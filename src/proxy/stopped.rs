//! The names of header fields and parameters that stop at Pointsman, for those who have another proxy stop them.

pub(crate) use super::attempt::client_account::{FIELD_ENDS as ACCOUNT_ENDS, FIELDS as ACCOUNTS, PARAMETERS};
pub(crate) use super::header_fields::{
    ACCOUNT as OPERATOR_ACCOUNT, ACCOUNT_PREFIXES as OPERATOR_ACCOUNT_STARTS, FORWARDED, KEY_FIELDS, OURS,
};
