use guide as _;
use tcs_core::testing::assert_registered;

#[test]
fn it_is_found() {
    assert_registered("telescope_control");
}
