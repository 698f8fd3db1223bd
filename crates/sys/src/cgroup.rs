//! The CPU quota of the process: cgroups(7), version 1 and 2. Go: internal/runtime/cgroup.
//!
//! Unlike Go we also look at the groups above ours: a pod's quota limits each of its containers.

use std::path::{Path, PathBuf};

/// The smallest quota of this process's CPU groups, in processors (0.5 is half of one); none without a limit.
pub(crate) fn cpu_quota() -> Option<f64> {
    let read = |path: &Path| std::fs::read_to_string(path).ok();
    let groups = read(Path::new("/proc/self/cgroup"))?;
    let mounts = read(Path::new("/proc/self/mountinfo"))?;
    smallest(&groups_of(&groups, &mounts), read)
}

/// A processor count for a process that may run on `cpus` processors for `quota` of their time.
///
/// Rounded up, as a quota of 2.5 leaves work for a third; at least 2, so that one goroutine that computes does not stop
/// the others. Go: runtime/cgroup_linux.go adjustCgroupGOMAXPROCS.
pub(crate) fn procs(cpus: usize, quota: Option<f64>) -> usize {
    quota.map_or(cpus, |quota| cpus.min((quota.ceil() as usize).max(2))).max(1)
}

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Version {
    V1,
    V2,
}

/// A group that the process is in, and where its hierarchy is mounted.
#[derive(PartialEq, Eq, Debug)]
struct Group {
    version: Version,
    mount: PathBuf,
    dir: PathBuf,
}

/// The groups that can have a CPU quota. `groups` is /proc/self/cgroup, `mounts` /proc/self/mountinfo.
fn groups_of(groups: &str, mounts: &str) -> Vec<Group> {
    let mounts: Vec<Mount> = mounts.lines().filter_map(mount_of).collect();
    let group = |line: &str| {
        // "4:cpu,cpuacct:/a/b", and for version 2 "0::/a/b".
        let mut fields = line.splitn(3, ':');
        let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let version = match controllers {
            "" => Version::V2,
            _ if controllers.split(',').any(|c| c == "cpu") => Version::V1,
            _ => return None,
        };
        let mount = mounts.iter().find(|mount| mount.version == version)?;
        // In a container the mount may show only a part of the tree that the path is about; if ours is not in that
        // part, the mount's own directory is the nearest.
        let below = Path::new(path).strip_prefix(&mount.root).unwrap_or(Path::new(""));
        Some(Group { version, dir: mount.point.join(below), mount: mount.point.clone() })
    };
    groups.lines().filter_map(group).collect()
}

/// A mount of a hierarchy with CPU quotas.
struct Mount {
    version: Version,
    /// What of the hierarchy is mounted.
    root: PathBuf,
    point: PathBuf,
}

/// A line of mountinfo, proc_pid_mountinfo(5): `33 31 0:30 /root /point rw,.. [tags] - cgroup source rw,cpu`.
fn mount_of(line: &str) -> Option<Mount> {
    let (mount, filesystem) = line.split_once(" - ")?;
    let mut fields = mount.split(' ').skip(3);
    let (root, point) = (unescape(fields.next()?), unescape(fields.next()?));
    let mut fields = filesystem.split(' ');
    let (kind, options) = (fields.next()?, fields.nth(1).unwrap_or(""));
    let version = match kind {
        "cgroup2" => Version::V2,
        "cgroup" if options.split(',').any(|option| option == "cpu") => Version::V1,
        _ => return None,
    };
    Some(Mount { version, root: root.into(), point: point.into() })
}

/// Blanks and backslashes stand as three octal digits.
fn unescape(text: &str) -> String {
    let (first, rest) = text.split_once('\\').map_or((text, None), |(first, rest)| (first, Some(rest)));
    let mut plain = first.to_owned();
    for part in rest.into_iter().flat_map(|rest| rest.split('\\')) {
        match part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                plain.push(char::from(byte));
                plain.push_str(&part[3..]);
            }
            None => {
                plain.push('\\');
                plain.push_str(part);
            }
        }
    }
    plain
}

/// The smallest quota of the groups and of those above them.
fn smallest(groups: &[Group], read: impl Fn(&Path) -> Option<String>) -> Option<f64> {
    let quota = |version, dir: &Path| match version {
        Version::V1 => {
            let number = |name: &str| read(&dir.join(name))?.trim().parse::<i64>().ok();
            share(number("cpu.cfs_quota_us")?, number("cpu.cfs_period_us")?)
        }
        Version::V2 => {
            // "50000 100000", or "max 100000".
            let text = read(&dir.join("cpu.max"))?;
            let mut fields = text.split_whitespace().map(|field| field.parse::<i64>().ok());
            share(fields.next()??, fields.next()??)
        }
    };
    let dirs = |group: &'_ Group| {
        let (version, mount) = (group.version, group.mount.clone());
        let above: Vec<PathBuf> =
            group.dir.ancestors().take_while(|dir| dir.starts_with(&mount)).map(Path::to_owned).collect();
        above.into_iter().filter_map(move |dir| quota(version, &dir)).reduce(f64::min)
    };
    groups.iter().filter_map(dirs).reduce(f64::min)
}

/// Processors; none if there is no limit, which version 1 writes as -1.
fn share(quota: i64, period: i64) -> Option<f64> {
    (quota > 0 && period > 0).then(|| quota as f64 / period as f64)
}

#[cfg(test)]
mod tests;
