use std::collections::HashMap;

use super::*;

/// What `cpu_quota` would find with these files.
fn quota(groups: &str, mounts: &str, files: &[(&str, &str)]) -> Option<f64> {
    let files: HashMap<PathBuf, &str> =
        files.iter().map(|(path, text)| (PathBuf::from(path), *text)).collect();
    smallest(&groups_of(groups, mounts), |path| files.get(path).map(|text| (*text).to_owned()))
}

const V2: &str = "31 23 0:28 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
const V1: &str = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
                  32 31 0:29 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n\
                  33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw shared:11 - cgroup cgroup rw,cpu,cpuacct\n";

#[test]
fn version_2_is_read_from_the_group_and_those_above() {
    let groups = "0::/user.slice/app\n";
    let max = "/sys/fs/cgroup/user.slice/app/cpu.max";
    let above = "/sys/fs/cgroup/user.slice/cpu.max";
    assert_eq!(quota(groups, V2, &[(max, "150000 100000\n")]), Some(1.5));
    assert_eq!(quota(groups, V2, &[(max, "max 100000\n")]), None);
    assert_eq!(quota(groups, V2, &[(max, "max 100000\n"), (above, "400000 100000\n")]), Some(4.0));
    assert_eq!(quota(groups, V2, &[(max, "300000 100000\n"), (above, "50000 100000\n")]), Some(0.5));
    assert_eq!(quota(groups, V2, &[]), None);
    // Nothing above the mount is asked.
    assert_eq!(quota(groups, V2, &[("/sys/fs/cpu.max", "50000 100000\n")]), None);
}

#[test]
fn version_1_is_read_where_the_cpu_controller_is_mounted() {
    let groups = "5:cpuset:/set\n4:cpu,cpuacct:/app\n0::/elsewhere\n";
    let dir = "/sys/fs/cgroup/cpu,cpuacct/app";
    let (us, period) = (format!("{dir}/cpu.cfs_quota_us"), format!("{dir}/cpu.cfs_period_us"));
    assert_eq!(quota(groups, V1, &[(&us, "250000\n"), (&period, "100000\n")]), Some(2.5));
    assert_eq!(quota(groups, V1, &[(&us, "-1\n"), (&period, "100000\n")]), None);
    assert_eq!(quota(groups, V1, &[(&us, "250000\n"), (&period, "0\n")]), None);
    assert_eq!(quota(groups, V1, &[(&us, "250000\n")]), None);
    // A controller whose name begins with "cpu" is another.
    assert_eq!(quota("5:cpuset:/app\n", V1, &[(&us, "250000\n"), (&period, "100000\n")]), None);
}

#[test]
fn a_container_sees_its_part_of_the_tree() {
    let mounts = "33 31 0:30 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
    let files = [("/sys/fs/cgroup/cpu.max", "200000 100000"), ("/sys/fs/cgroup/in/cpu.max", "100000 100000")];
    assert_eq!(quota("0::/docker/abc\n", mounts, &files), Some(2.0));
    assert_eq!(quota("0::/docker/abc/in\n", mounts, &files), Some(1.0));
    // A path outside of what is mounted, as the namespace's parent sees it.
    assert_eq!(quota("0::/../other\n", mounts, &files), Some(2.0));
}

#[test]
fn mount_points_may_have_blanks() {
    let mounts = "33 31 0:30 / /mnt/my\\040groups\\134x rw - cgroup2 cgroup2 rw\n";
    assert_eq!(quota("0::/a\n", mounts, &[("/mnt/my groups\\x/a/cpu.max", "100000 100000")]), Some(1.0));
    assert_eq!(unescape("a\\04"), "a\\04");
    assert_eq!(unescape("a\\"), "a\\");
    assert_eq!(unescape("\\011\\012"), "\t\n");
}

#[test]
fn what_cannot_be_read_is_no_limit() {
    for groups in ["", "\n", "0::\n", "0:/a\n", "x\n", "0::/a:b\n"] {
        for mounts in ["", "x\n", "1 2 3 - cgroup2\n", "1 2 3 / /m - cgroup2\n", V2] {
            assert_eq!(quota(groups, mounts, &[("/m/cpu.max", "oops 1"), ("/m/a/cpu.max", "1")]), None);
        }
    }
    let here = cpu_quota();
    assert!(here.is_none_or(|quota| quota > 0.0), "{here:?}");
}

#[test]
fn quotas_are_rounded_up_to_two_at_least() {
    for (cpus, quota, wanted) in [
        (8, None, 8),
        (8, Some(0.1), 2),
        (8, Some(2.0), 2),
        (8, Some(2.01), 3),
        (8, Some(100.0), 8),
        (1, Some(0.5), 1),
        (0, None, 1),
        (4, Some(f64::MAX), 4),
    ] {
        assert_eq!(procs(cpus, quota), wanted, "{cpus} {quota:?}");
    }
}
