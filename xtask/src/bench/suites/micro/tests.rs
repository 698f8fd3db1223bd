use super::*;

#[test]
fn known_operations_are_taken_and_anything_else_is_left() {
    assert_eq!(metric_of("create 25.5"), Some(("create", 25.5)));
    assert_eq!(metric_of("unheard-of 25.5"), None);
    assert_eq!(metric_of("create fast"), None);
    assert_eq!(metric_of("create"), None);
}
