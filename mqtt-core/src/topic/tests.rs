use super::*;

#[test]
fn a_name_and_a_filter_are_kept_byte_for_byte() {
    assert_eq!(Topic::new("/A/ b/"), Ok(Topic("/A/ b/")));
    assert_eq!(Filter::new("/A/+/#"), Ok(Filter("/A/+/#")));
}
